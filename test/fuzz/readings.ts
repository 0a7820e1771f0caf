/** How upstreams of all sorts may read a path that the gateway let through, and what they must not find. */
import { posix } from 'node:path';
import { array, constantFrom, type Arbitrary, oneof, string } from '../support/property-based.ts';
import { loadPolicy } from '../../gateway/policy/load-policy.ts';
import { findRoute } from '../../gateway/policy/find-route.ts';
import type { Policy, Route } from '../../gateway/policy/policy.ts';
import { enter } from '../../gateway/pipeline/authenticate.ts';
import { guard } from '../../gateway/pipeline/guard.ts';
import { traceAndSpan } from '../../gateway/pipeline/random-ids.ts';
import { RequestContext } from '../../gateway/pipeline/request-context.ts';
import type { Snapshot } from '../../gateway/pipeline/snapshot.ts';
import { readRequestHead } from '../../gateway/proxy/request-head.ts';
import { GatewayError } from '../../gateway/core/gateway-error.ts';

/** Two closed areas, one for keys, one for administrators; everything else is open. */
export const FUZZED_POLICY = `
accounts: { single: main }
tls: { certificates: [{ hosts: [localhost], self_signed: true }] }
regions:
  - { id: home, nodes: ["http://127.0.0.1:1"] }
routes:
  - { name: inside, match: { path: ["/internal", "/internal/**"] }, access: deny }
  - { name: api, match: { path: ["/api", "/api/**"] }, access: api_key }
  - { name: panel, match: { path: ["/admin", "/admin/**"] }, access: admin }
  - { name: rest, match: { path: "/**" }, access: public }
sessions: {}
`;

const PIECES = [
  '/',
  '//',
  '/.',
  '/..',
  '/./',
  '/../',
  '.',
  '..',
  '...',
  ';',
  ';x',
  ';x=1',
  '..;/',
  '\\',
  '%5c',
  '%2f',
  '%2F',

  '%2e',
  '%2E',
  '%2e%2e',
  '%00',
  '%0a',
  '%0d%0a',
  '%20',
  '%09',
  '%7f',
  '%',
  '%%',
  '%2',
  '%zz',
  '%25',
  '%252f',

  '%252e',
  '%2561',
  '%25%36%31',
  '%c0%af',
  '%c0%ae',
  '%e0%80%af',
  '%ff',
  '%u0061',
  '%ef%bc%8f',
  '%e2%80%8b',

  '\u00e9',
  '\u017f',
  '\u0131',
  '\uff41',
  ' ',
  '\t',
  '\r\n',
  '\0',
  '?',
  '?a=b',
  '#',
  '#/x',
  '&',
  '=',
  '+',
  '*',
  '~',
  ':',
  '@',

  'internal',
  'INTERNAL',
  'Internal',
  '%69nternal',
  'int',
  'ernal',
  'admin',
  'Admin',
  '%61dmin',
  'api',
  'API',
  'a',
  '::$DATA',
];

/** Request targets made of what readers disagree about. */
export const targets: Arbitrary<string> = oneof(
  array(constantFrom(...PIECES), { maxLength: 10 }).map((pieces) => `/${pieces.join('')}`),
  array(constantFrom(...PIECES), { maxLength: 10 }).map((pieces) => pieces.join('')),
  string({ maxLength: 30 }).map((text) => `/${text}`),
);

/** What happens to a GET of a target: the route that it takes, or the code that refuses it. */
export function decide(snapshot: Snapshot, target: string): { context: RequestContext; refused?: string } {
  const rawHeaders = ['Host', 'localhost'];
  const message = {
    protocol: 'http/1.1',
    method: 'GET',
    target,
    authority: 'localhost',
    rawHeaders,
    peerAddress: '127.0.0.1',
  } as const;
  const head = readRequestHead(rawHeaders, new Set());
  const context = new RequestContext(snapshot, message, head, traceAndSpan(), '127.0.0.1');
  try {
    guard(context);
    enter(context);
    return { context };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { context, refused: error.code };
  }
}

/** A snapshot that the guard and the route matcher can work with; nothing is forwarded. */
export function snapshotOf(file: string): Snapshot {
  const reading = loadPolicy(file, {});
  if ('mistakes' in reading) throw new Error(JSON.stringify(reading.mistakes));
  const policy: Policy = reading.policy;
  return { policy, strictTransport: '', servesHost: () => true } as unknown as Snapshot;
}

const cutParameters = (path: string) => path.replaceAll(/;[^/]*/g, '');
const trimNames = (path: string) => path.replaceAll(/[. ]+(?=\/|$)/g, '');
const decode = (path: string) => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};
const byUrl = (path: string) => decode(new URL(`http://h${encodeURI(path).replaceAll('%25', '%')}`).pathname);

/** Readers, by whom they are like. Each gets the path as the gateway decoded it. */
const READERS: Readonly<Record<string, (path: string) => string>> = {
  'one that resolves dots': (path) => posix.normalize(path),
  'one that merges slashes': (path) => path.replaceAll(/\/+/g, '/'),
  'one that takes backslashes for slashes': (path) => posix.normalize(path.replaceAll('\\', '/')),
  'a servlet container': (path) => posix.normalize(cutParameters(path)),
  'a Windows server': (path) => posix.normalize(trimNames(path).toLowerCase()),
  'one that decodes twice': (path) => posix.normalize(decode(path)),
  'one that decodes three times': (path) => posix.normalize(decode(decode(path))),
  'one that stops at NUL': (path) => path.split('\0')[0] ?? '',
  'one that cuts a query off again': (path) => decode(path).split(/[?#]/)[0] ?? '',
  'a URL parser': (path) => byUrl(path),
  'one that does all of it': (path) =>
    posix.normalize(
      trimNames(cutParameters(decode(path).replaceAll('\\', '/')))
        .normalize('NFKC')
        .toLowerCase(),
    ),
};

/**
 * Looks for a reader who finds a closed route where the gateway found another one.
 *
 * @returns what is wrong, or `undefined`.
 */
export function misread(snapshot: Snapshot, target: string): string | undefined {
  const { context, refused } = decide(snapshot, target);
  if (refused !== undefined || context.hidden !== undefined) return undefined;
  for (const [who, read] of Object.entries(READERS)) {
    const path = read(context.path);
    const other = routeOf(snapshot, path);
    if (other !== undefined && other.access !== 'public' && other !== context.route)
      return `${who} reads ${JSON.stringify(target)} as ${path}, route "${other.name}"`;
  }
  return undefined;
}

function routeOf(snapshot: Snapshot, path: string): Route | undefined {
  const request = {
    method: 'GET',
    host: 'localhost',
    path,
    query: new URLSearchParams(),
    header: () => undefined,
    clientAddress: '127.0.0.1',
  };
  return findRoute(snapshot.policy.routes, request);
}
