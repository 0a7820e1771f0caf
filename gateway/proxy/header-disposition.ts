/** What the gateway does with a request header. */
type Disposition = 'pass' | 'drop' | 'forwarding' | 'host' | 'cookie' | 'framing' | 'noted' | 'connection';

/** A header name, decided once. */
export interface ClassifiedName {
  readonly name: string;
  /** As CGI-like upstreams spell it: `-` for all but letters and digits. */
  readonly spelled: string;
  readonly disposition: Disposition;
}

/** Hop-by-hop (RFC 9110 section 7.6.1) and what a proxy answers itself; never forwarded in either direction. */
const HOP_BY_HOP = [
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'trailer',
  'upgrade',
  'expect',
  'http2-settings',
];

/** Names by which upstreams believe anyone; kept only from a trusted proxy, and then rebuilt, not copied. */
const CLIENT_CLAIMS = [
  'x-real-ip',
  'x-client-ip',
  'client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-visitor',
  'fastly-client-ip',
  'x-cluster-client-ip',
  'x-azure-clientip',
  'x-original-url',
  'x-rewrite-url',
  'x-original-host',
  'x-host',
  'x-http-host-override',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'front-end-https',
  'x-url-scheme',
  'x-scheme',
  'proxy',
  'x-request-id',
  'traceparent',
  'tracestate',
];

const FORWARDING = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'];

/** Headers that a stage reads, so that it does not search for them again. */
const NOTED = [
  'user-agent',
  'accept',
  'accept-language',
  'content-type',
  'origin',
  'sec-fetch-site',
  'sec-fetch-mode',
  'sec-fetch-dest',
];

const EXACT = new Map<string, Disposition>([
  ...HOP_BY_HOP.map((name): [string, Disposition] => [name, 'drop']),
  ...CLIENT_CLAIMS.map((name): [string, Disposition] => [name, 'drop']),
  ...FORWARDING.map((name): [string, Disposition] => [name, 'forwarding']),
  ...NOTED.map((name): [string, Disposition] => [name, 'noted']),
  ['connection', 'connection'],
  ['host', 'host'],
  ['cookie', 'cookie'],
  ['content-length', 'framing'],
  ['transfer-encoding', 'framing'],
  ['te', 'framing'],
]);

const RESERVED_PREFIXES = ['x-zasov-', 'zasov-', 'x-forwarded-'];

const known = new Map<string, ClassifiedName>();
const KNOWN_LIMIT = 1024;

/**
 * Decides what happens to a request header of this name. Remembers its answers (bounded), because the same few
 * spellings come with every request.
 */
export function classifyName(name: string): ClassifiedName {
  const found = known.get(name);
  if (found !== undefined) return found;
  const lower = name.toLowerCase();
  const spelled = lower.replaceAll(/[^a-z0-9]/g, '-');
  const classified = { name: lower, spelled, disposition: classify(lower, spelled) };
  if (known.size < KNOWN_LIMIT && name.length <= 64) known.set(name, classified);
  return classified;
}

function classify(lower: string, spelled: string): Disposition {
  if (lower.startsWith(':')) return 'drop';
  const exact = EXACT.get(lower);
  if (exact !== undefined) return exact;
  // CGI-like upstreams read `X_Zasov_Subject` as `X-Zasov-Subject`: every other spelling counts as the reserved one.
  if (spelled !== lower && EXACT.has(spelled)) return 'drop';
  return RESERVED_PREFIXES.some((prefix) => spelled.startsWith(prefix)) ? 'drop' : 'pass';
}
