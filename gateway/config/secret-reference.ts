/** A key file, environment variable or systemd credential: where a secret is, never the secret. */
export type SecretReference =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'credential'; readonly name: string };

/** What a policy may write where a secret is wanted; shown in error messages. */
export const SECRET_FORM = '"file:PATH", "env:NAME" or "credential:NAME" (systemd)';

/**
 * Reads a reference to a secret: `file:var/master.key`, `env:ZASOV_KEY`, `credential:master-key`.
 *
 * @returns `undefined` for anything else, above all for a secret written down in the policy itself.
 */
export function parseSecretReference(text: string): SecretReference | undefined {
  const colon = text.indexOf(':');
  const rest = text.slice(colon + 1);
  switch (colon === -1 ? '' : text.slice(0, colon)) {
    case 'file':
      return rest.trim() === rest && rest !== '' && !rest.includes('\0')
        ? { kind: 'file', path: rest }
        : undefined;
    case 'env':
      return /^[A-Za-z_][A-Za-z0-9_]*$/.test(rest) ? { kind: 'env', name: rest } : undefined;
    case 'credential':
      // A name, not a path: systemd keeps credentials as files of one directory.
      return /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(rest) ? { kind: 'credential', name: rest } : undefined;
    default:
      return undefined;
  }
}
