/** What one request on the wire must become. Bytes are Latin-1 text. */
export interface WireCase {
  /** Where it is written: `RFC 9112 6.3`. */
  readonly section: string;
  readonly title: string;
  readonly bytes: string;
  /** Statuses of the answers, interim ones too, in order. */
  readonly answers: readonly number[];
  /** Whether the connection ends with the last answer; otherwise it must carry one more request properly. */
  readonly closes: boolean;
  /** What may reach the upstream, in order. */
  readonly arrives: readonly Arrival[];
}

/** One request as the upstream may see it. What is left out is not looked at. */
export interface Arrival {
  /** Method and target. */
  readonly line: string;
  readonly body?: string;
  readonly framing?: 'none' | 'length' | 'chunked';
  /** Values that headers must have there; an empty list says that the header is not there. */
  readonly headers?: Readonly<Record<string, readonly string[]>>;
}

const CRLF = '\r\n';

/** A request without a body: method, target, further header lines. */
export function head(method: string, target: string, ...lines: readonly string[]): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join(CRLF);
}

/** A GET of `/case` with further header lines. */
export function get(...lines: readonly string[]): string {
  return head('GET', '/case', ...lines);
}

/** A POST to `/case` with header lines and what follows them. */
export function post(lines: string | readonly string[], body: string): string {
  return head('POST', '/case', ...(typeof lines === 'string' ? [lines] : lines)) + body;
}

/** A POST to `/case` whose chunked body is exactly these bytes. */
export function chunked(body: string): string {
  return post('Transfer-Encoding: chunked', body);
}

type Row = readonly [section: string, title: string, bytes: string, status?: number];

/** Cases that get one answer, 400 if none is said, after which the connection ends; nothing arrives. */
export function refused(rows: readonly Row[]): WireCase[] {
  return rows.map(([section, title, bytes, status = 400]) => ({
    section,
    title,
    bytes,
    answers: [status],
    closes: true,
    arrives: [],
  }));
}

/** Cases that get one answer, 400 if none is said, after which the connection goes on; nothing arrives. */
export function declined(rows: readonly Row[]): WireCase[] {
  return refused(rows).map((each) => ({ ...each, closes: false }));
}

type Passing = readonly [
  section: string,
  title: string,
  bytes: string,
  arrives: Omit<Arrival, 'line'> & { line?: string },
];

/** Cases that reach the upstream as one request, are answered with 200, and after which the connection goes on. */
export function passing(rows: readonly Passing[]): WireCase[] {
  return rows.map(([section, title, bytes, arrival]) => ({
    section,
    title,
    bytes,
    answers: [200],
    closes: false,
    arrives: [{ line: bytes.slice(0, bytes.indexOf(' HTTP/')), ...arrival }],
  }));
}
