import { readFileSync } from 'node:fs';

import { GatewayError } from '../core/gateway-error.ts';

/** Where the material for TLS to the nodes of a region lies; the policy's `regions.tls`, compiled. */
export interface NodeTlsFiles {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly serverName: string | undefined;
}

/** The material itself, in PEM. */
export interface NodeTlsMaterial {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly serverName: string | undefined;
}

/**
 * Reads what connections to the nodes need, by region.
 *
 * @throws GatewayError `internal` when a file cannot be read; the message names it.
 */
export function readNodeTls(
  regions: readonly { readonly id: string; readonly tls: NodeTlsFiles | undefined }[],
): ReadonlyMap<string, NodeTlsMaterial> {
  const byRegion = new Map<string, NodeTlsMaterial>();
  for (const { id, tls } of regions) {
    if (tls === undefined) continue;
    const { caFile, certFile, keyFile, serverName } = tls;
    byRegion.set(id, { ca: text(caFile), cert: text(certFile), key: text(keyFile), serverName });
  }
  return byRegion;
}

function text(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new GatewayError('internal', `${file} cannot be read (${code})`);
  }
}
