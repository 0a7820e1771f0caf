import { remember } from '../core/remember.ts';
import { jsonText } from './json-text.ts';
import { scrubPath, scrubQuery } from './scrub-text.ts';

/**
 * What the log tells about one request: these fields and no others, so that nothing secret can slip in. Times are
 * milliseconds. Fields that are `undefined` are left out.
 */
export interface AccessLine {
  readonly requestId: string;
  readonly method: string;
  readonly host: string;
  /** Without its query. Segments that look random are masked. */
  readonly path: string;
  /** The raw query; only the names in it are logged. */
  readonly search: string;
  readonly status: number;
  /** Body bytes from the client. */
  readonly bytesIn: number;
  /** Body bytes to the client. */
  readonly bytesOut: number;
  /** Whole time in the gateway, without the wait for the upstream. */
  readonly gatewayMs: number;
  /** Wait for the upstream's answer to begin; `undefined` when it was not asked. */
  readonly upstreamMs: number | undefined;
  readonly clientAddress: string;
  /** `1.0`, `1.1` or `2`. */
  readonly protocol: string;
  readonly route: string | undefined;
  readonly account: string | undefined;
  /** The public id of the session, never its token. */
  readonly sessionId: string | undefined;
  /** A keyed hash of the person's name, for who must be followed through the log without being named. */
  readonly subjectHash: string | undefined;
  readonly region: string | undefined;
  readonly node: string | undefined;
  /** The code of the failure, if the gateway itself answered with one. */
  readonly code: string | undefined;
  /** Whether the answer was sent to its end. */
  readonly complete: boolean;
}

const SHORT = 64;
const HOST_LIMIT = 255;
const PATH_LIMIT = 1024;

/**
 * The members of an access line as JSON, after the opening ones that the logger adds. Put together by hand: this runs
 * once for each request, and a general serializer takes several times as long.
 */
export function accessMembers(line: AccessLine): string {
  const target = line.search === '' ? scrubPath(line.path) : scrubPath(line.path) + scrubQuery(line.search);
  return (
    `"id":${jsonText(line.requestId, SHORT)},"method":${jsonText(line.method, 16)}` +
    (line.host === '' ? ',"host":""' : steady('host', line.host, HOST_LIMIT)) +
    `,"path":${jsonText(target, PATH_LIMIT)}` +
    `,"status":${integer(line.status)},"bytes_in":${integer(line.bytesIn)},"bytes_out":${integer(line.bytesOut)}` +
    `,"gateway_ms":${milliseconds(line.gatewayMs)}` +
    (line.upstreamMs === undefined ? '' : `,"upstream_ms":${milliseconds(line.upstreamMs)}`) +
    `,"client":${jsonText(line.clientAddress, SHORT)},"protocol":${jsonText(line.protocol, 8)}` +
    steady('route', line.route, SHORT) +
    steady('account', line.account, SHORT) +
    optional('session', line.sessionId, SHORT) +
    optional('subject_hash', line.subjectHash, SHORT) +
    steady('region', line.region, SHORT) +
    steady('node', line.node, HOST_LIMIT) +
    optional('code', line.code, SHORT) +
    (line.complete ? '' : ',"complete":false')
  );
}

/** Members that come with the same few values on every line, as they were written before. */
const written = { host: new Map(), route: new Map(), account: new Map(), region: new Map(), node: new Map() };
const WRITTEN_LIMIT = 1024;

function steady(name: keyof typeof written, value: string | undefined, limit: number): string {
  if (value === undefined || value === '') return '';
  const known: Map<string, string> = written[name];
  return known.get(value) ?? remember(known, WRITTEN_LIMIT, value, optional(name, value, limit));
}

function optional(name: string, value: string | undefined, limit: number): string {
  return value === undefined || value === '' ? '' : `,"${name}":${jsonText(value, limit)}`;
}

function integer(value: number): number {
  return Number.isFinite(value) ? Math.trunc(value) : 0;
}

/** Three digits after the point: microseconds. Two whole numbers, because writing out a fraction costs far more. */
function milliseconds(value: number): string {
  const microseconds = Number.isFinite(value) && value > 0 ? Math.round(value * 1000) : 0;
  const whole = Math.trunc(microseconds / 1000);
  const rest = microseconds - whole * 1000;
  return `${whole}.${rest < 100 ? '0' : ''}${rest < 10 ? '0' : ''}${rest}`;
}
