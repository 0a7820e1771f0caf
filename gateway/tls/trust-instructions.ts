/** How a person makes a machine believe the local authority; one command or path of clicks for each system. */
interface TrustInstructions {
  readonly linux: string;
  /** Chromium on Linux keeps its own store, apart from the system's. */
  readonly linuxChromium: string;
  readonly macos: string;
  readonly windows: string;
  readonly firefox: string;
}

/**
 * Says how to trust the local certificate authority.
 *
 * @param caFile the authority's certificate (not its key).
 */
function trustInstructions(caFile: string): TrustInstructions {
  const quoted = `"${caFile}"`;
  return {
    linux: `sudo cp ${quoted} /usr/local/share/ca-certificates/zasov-local-ca.crt && sudo update-ca-certificates`,
    linuxChromium: `certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n zasov-local-ca -i ${quoted}`,
    macos: `sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${quoted}`,
    windows: `certutil -addstore -f Root ${quoted} (as administrator)`,
    firefox: `Settings, Privacy & Security, View Certificates, Authorities, Import ${quoted}, trust for websites`,
  };
}

/** The same as a few lines for a terminal. */
export function describeTrust(caFile: string): string {
  const how = trustInstructions(caFile);
  return [
    `To let browsers trust this gateway, trust its local authority ${caFile}, which can speak for its own hosts only:`,
    `  Linux:             ${how.linux}`,
    `  Chromium on Linux: ${how.linuxChromium}`,
    `  macOS:             ${how.macos}`,
    `  Windows:           ${how.windows}`,
    `  Firefox:           ${how.firefox}`,
  ].join('\n');
}
