import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { RunningGateway } from './start-gateway.ts';

/**
 * Policies that let strangers in nearly everywhere: `/denied` is closed, `/private` wants a session, `/small` takes
 * bodies of 10 KiB, and the cookie `APPSID` is vaulted.
 *
 * @param regions lines of the `regions` section; see {@link regionOf}.
 * @param protection further members of the `protection` section.
 */
export function openPolicy(regions: string, protection = ''): string {
  return `
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
${regions}
routes:
  - { name: denied, match: { path: "/denied" }, access: deny }
  - { name: signed in, match: { path: "/private" }, access: session }
  - { name: small, match: { path: "/small" }, access: public, body_bytes: 10KiB }
  - { name: everything, match: { path: "/**" }, access: public }
protection: { upstream_timeout: 1s, ${protection} }
sessions:
  vault: [APPSID]
  anonymous: { per_client: 10000/1m }
`;
}

/** A region of one node, whose health is asked for so rarely that only requests find out about it. */
export function regionOf(id: string, ...origins: readonly string[]): string {
  return `  - { id: ${id}, nodes: ${JSON.stringify(origins)}, health: { every: 10m } }\n`;
}

/** Where a client finds a gateway. */
export function targetOf({ port, ca }: RunningGateway): { host: string; port: number; ca: string } {
  return { host: 'localhost', port, ca };
}

/** A port of loopback on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
