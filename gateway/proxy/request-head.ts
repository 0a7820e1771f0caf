import { classifyName } from './header-disposition.ts';

/**
 * A request's headers after one walk over them: what stages ask for, and what may be forwarded.
 * Forwarding, hop-by-hop and reserved headers are already gone from `forward`.
 */
export interface RequestHead {
  readonly hostCount: number;
  /** All `Cookie` headers joined as RFC 9113 section 8.2.3 says. */
  readonly cookie: string;
  readonly contentLength: string | undefined;
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
}

type Draft = { -readonly [Key in keyof RequestHead]: RequestHead[Key] };

/**
 * Walks a request's raw headers once.
 *
 * @param rawHeaders flat names and values as received.
 * @param dropped lower-case names that must not reach the upstream besides the fixed ones (API key headers).
 */
export function readRequestHead(rawHeaders: readonly string[], dropped: ReadonlySet<string>): RequestHead {
  const head: Draft = {
    hostCount: 0,
    cookie: '',
    contentLength: undefined,
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
  };
  let connection = '';
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const value = rawHeaders[i + 1] ?? '';
    const { name, disposition } = classifyName(rawHeaders[i] ?? '');
    if (disposition === 'pass') {
      if (dropped.size === 0 || !dropped.has(name)) head.forward.push(name, value);
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
      break;
    case 'cookie':
      head.cookie = head.cookie === '' ? value : `${head.cookie}; ${value}`;
      break;
    case 'content-length':
      head.contentLength = value;
      break;
    case 'forwarded':
      head.forwarded = head.forwarded === undefined ? value : `${head.forwarded}, ${value}`;
      break;
    case 'x-forwarded-for':
      head.forwardedFor = head.forwardedFor === undefined ? value : `${head.forwardedFor}, ${value}`;
      break;
    default:
  }
}

/** Headers named by `Connection` belong to this hop only (RFC 9110 section 7.6.1). */
function dropNamed(head: Draft, connection: string): void {
  const names = connection
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'close' && name !== 'keep-alive' && name !== 'upgrade');
  if (names.length === 0) return;
  const kept: string[] = [];
  for (let i = 0; i < head.forward.length; i += 2) {
    const name = head.forward[i] ?? '';
    if (!names.includes(name)) kept.push(name, head.forward[i + 1] ?? '');
  }
  head.forward = kept;
}
