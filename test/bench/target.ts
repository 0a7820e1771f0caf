import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Child } from './children.ts';
import { scratch, startChild } from './children.ts';
import type { Protocol } from './load-driver.ts';
import { hasNginx, startNginx } from './nginx-target.ts';
import { hasZasov, issueKey, startZasov } from './zasov-target.ts';

/** What every target is put into. */
export interface Surroundings {
  /** The upstream's origin. */
  readonly upstream: string;
  /** The body of each of the upstream's data answers. */
  readonly expected: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Something that terminates TLS and forwards: what the bench compares. */
export interface Target {
  readonly name: string;
  readonly protocol: Protocol;
  /** Name of the bare forwarder that it is compared with. */
  readonly yardstick: string;
  /** The gateway as it runs in production: its ratios are judged and its sessions weighed. */
  readonly judged: boolean;
  /** Whether it checks sessions; a stranger must then be refused, or the run measures nothing. */
  readonly guarded: boolean;
  /** Whether its memory is measured; variants of another target have no memory of their own to show. */
  readonly weighed: boolean;
  start(around: Surroundings): Promise<Child>;
  /** Once it runs: the API key that the load brings in place of people who sign in. */
  issueKey?(): string;
  /** Another target, and how many times its CPU this one may cost. */
  readonly ceiling?: { readonly of: string; readonly times: number };
}

/** A request with an API key may cost at most this many times one with a session. */
const KEY_CEILING = 1.1;
/** Names of the targets that others are compared with. */
export const BARE_H1 = 'bare https+undici';
export const BARE_H2 = 'bare http2+undici';
export const ZASOV_H1 = 'zasov h1';
export const HTTP_PROXY = 'http-proxy';
export const HTTP_PROXY_KEEP_ALIVE = 'http-proxy, keep-alive';

interface Program {
  readonly file: string;
  readonly nodeOptions: readonly string[];
  readonly more?: readonly string[];
}

function forwarder(program: Program): Target['start'] {
  const path = fileURLToPath(new URL(program.file, import.meta.url));
  return ({ upstream, certFile, keyFile }) =>
    startChild({
      name: program.file,
      seat: 'target',
      command: [
        process.execPath,
        ...program.nodeOptions,
        path,
        upstream,
        certFile,
        keyFile,
        ...(program.more ?? []),
      ],
    });
}

const onH1 = { protocol: 'h1', yardstick: BARE_H1, judged: false, guarded: false, weighed: true } as const;
const onH2 = { protocol: 'h2', yardstick: BARE_H2, judged: false, guarded: false, weighed: true } as const;

function forwarders(nodeOptions: readonly string[]): Target[] {
  const httpProxy = { file: 'http-proxy-forwarder.ts', nodeOptions };
  return [
    { ...onH1, name: BARE_H1, start: forwarder({ file: 'bare-h1.ts', nodeOptions }) },
    { ...onH2, name: BARE_H2, start: forwarder({ file: 'bare-h2.ts', nodeOptions }) },
    { ...onH1, name: HTTP_PROXY, weighed: false, start: forwarder(httpProxy) },
    { ...onH1, name: HTTP_PROXY_KEEP_ALIVE, start: forwarder({ ...httpProxy, more: ['keep-alive'] }) },
  ];
}

function gateways(nodeOptions: readonly string[]): Target[] {
  const data = mkdtempSync(join(scratch, 'zasov-keys-'));
  const start: Target['start'] = (around) => startZasov(around, { logLevel: 'info', nodeOptions });
  const startQuiet: Target['start'] = (around) => startZasov(around, { logLevel: 'warn', nodeOptions });
  return [
    { ...onH1, name: ZASOV_H1, judged: true, guarded: true, start },
    { ...onH2, name: 'zasov h2', judged: true, guarded: true, start },
    { ...onH1, name: 'zasov h1, no access log', guarded: true, weighed: false, start: startQuiet },
    {
      ...onH1,
      name: 'zasov h1, API key',
      weighed: false,
      ceiling: { of: ZASOV_H1, times: KEY_CEILING },
      start: (around) => startZasov(around, { logLevel: 'info', nodeOptions, data, access: 'api_key' }),
      issueKey: () => issueKey(data),
    },
  ];
}

/** Every target that can run here, in the order of measurement; `nodeOptions` go to those that are Node programs. */
export function targets(nodeOptions: readonly string[] = []): Target[] {
  const nginx: Target[] = [
    { ...onH1, name: 'nginx h1', start: startNginx },
    { ...onH2, name: 'nginx h2', start: startNginx },
  ];
  return [
    ...forwarders(nodeOptions),
    ...(hasNginx() ? nginx : []),
    ...(hasZasov() ? gateways(nodeOptions) : []),
  ];
}

/** The port of a ready line's public listener. */
export function publicPort(child: Child): number {
  const listeners = child.ready['listeners'] as { public?: string } | undefined;
  const port = Number(new URL(listeners?.public ?? 'https://x:0').port);
  if (!(port > 0)) throw new Error(`${child.name} does not say where it listens`);
  return port;
}
