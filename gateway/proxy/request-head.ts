import { classifyName } from './header-disposition.ts';

/**
 * A request's headers after one walk over them: what stages ask for, and what may be forwarded.
 * Forwarding, hop-by-hop and reserved headers are already gone from `forward`.
 */
export interface RequestHead {
  readonly hostCount: number;
  /** The last `Host`; empty when there is none, as is usual in HTTP/2. */
  readonly host: string;
  /** All `Cookie` headers joined as RFC 9113 section 8.2.3 says. */
  readonly cookie: string;
  readonly contentLength: string | undefined;
  /** Whether the client reads trailers. */
  readonly takesTrailers: boolean;
  /** All `Transfer-Encoding` headers joined, in small letters. */
  readonly codings: string | undefined;
  readonly userAgent: string;
  readonly accept: string;
  readonly acceptLanguage: string;
  readonly contentType: string | undefined;
  /** Whether the body was given two types: which of them counts is every reader's own choice. */
  readonly hasTwoTypes: boolean;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
  readonly fetchMode: string | undefined;
  readonly fetchDest: string | undefined;
  readonly forwarded: string | undefined;
  readonly forwardedFor: string | undefined;
  /** Flat lower-case names and values that may go to the upstream; no `host`, `cookie`, `content-length`. */
  readonly forward: string[];
  /** Flat lower-case names and values that were held back: what may carry an API key, or the upstream's own credential. */
  readonly held: readonly string[];
}

/** One for all requests that bring none. */
const NONE: readonly string[] = [];

const TRAILERS = /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i;

type Draft = { -readonly [Key in keyof RequestHead]: RequestHead[Key] };

/**
 * Walks a request's raw headers once.
 *
 * @param rawHeaders flat names and values as received.
 * @param held names to hold back until somebody knows what they are on this route, as `spelled` has them.
 */
export function readRequestHead(rawHeaders: readonly string[], held: ReadonlySet<string>): RequestHead {
  const head: Draft = {
    hostCount: 0,
    host: '',
    cookie: '',
    contentLength: undefined,
    codings: undefined,
    takesTrailers: false,
    userAgent: '',
    accept: '',
    acceptLanguage: '',
    contentType: undefined,
    hasTwoTypes: false,
    origin: undefined,
    fetchSite: undefined,
    fetchMode: undefined,
    fetchDest: undefined,
    forwarded: undefined,
    forwardedFor: undefined,
    forward: [],
    held: NONE,
  };
  let connection = '';
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const value = rawHeaders[i + 1] ?? '';
    const { name, spelled, disposition } = classifyName(rawHeaders[i] ?? '');
    if (disposition === 'pass') {
      if (held.size === 0 || !held.has(spelled)) head.forward.push(name, value);
      else hold(head, name, value);
    } else if (disposition === 'noted') {
      note(head, name, value);
      head.forward.push(name, value);
    } else if (disposition === 'connection') connection += `,${value}`;
    else if (disposition !== 'drop') keep(head, name, value);
  }
  // What browsers send names nothing.
  if (connection !== '' && connection !== ',keep-alive') dropNamed(head, connection);
  return head;
}

function hold(head: Draft, name: string, value: string): void {
  if (head.held === NONE) head.held = [];
  (head.held as string[]).push(name, value);
}

function note(head: Draft, name: string, value: string): void {
  switch (name) {
    case 'user-agent':
      head.userAgent = value;
      break;
    case 'accept':
      head.accept = value;
      break;
    case 'accept-language':
      head.acceptLanguage = value;
      break;
    case 'content-type':
      head.hasTwoTypes = head.contentType !== undefined;
      head.contentType = value;
      break;
    case 'origin':
      head.origin = value;
      break;
    case 'sec-fetch-site':
      head.fetchSite = value;
      break;
    case 'sec-fetch-mode':
      head.fetchMode = value;
      break;
    default:
      head.fetchDest = value;
  }
}

function keep(head: Draft, name: string, value: string): void {
  switch (name) {
    case 'host':
      head.hostCount++;
      head.host = value;
      break;
    case 'cookie':
      head.cookie = head.cookie === '' ? value : `${head.cookie}; ${value}`;
      break;
    case 'content-length':
      head.contentLength = value;
      break;
    case 'te':
      head.takesTrailers ||= TRAILERS.test(value);
      break;
    case 'transfer-encoding':
      head.codings = joined(head.codings, value.toLowerCase());
      break;
    case 'forwarded':
      head.forwarded = joined(head.forwarded, value);
      break;
    case 'x-forwarded-for':
      head.forwardedFor = joined(head.forwardedFor, value);
      break;
    default:
  }
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

/** Headers named by `Connection` belong to this hop only (RFC 9110 section 7.6.1). */
function dropNamed(head: Draft, connection: string): void {
  // A set, because a head may hold thousands of names on either side.
  const names = new Set(
    connection
      .toLowerCase()
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && name !== 'close' && name !== 'keep-alive' && name !== 'upgrade'),
  );
  if (names.size === 0) return;
  head.forward = without(head.forward, names);
  head.held = without(head.held, names);
}

function without(headers: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!names.has(name)) kept.push(name, headers[i + 1] ?? '');
  }
  return kept;
}
