import { type AddressInfo, createServer, type Socket } from 'node:net';

/** One request as its bytes stood on the wire, read by the letter of RFC 9112. */
export interface StrictRequest {
  /** The request line. */
  readonly line: string;
  /** Header lines as sent, in order. */
  readonly headers: readonly string[];
  /** Content after the framing was taken off. */
  readonly body: string;
  /** How the content was framed. */
  readonly framing: 'none' | 'length' | 'chunked';
  /** Values of a header, by its name in any case. */
  values(name: string): string[];
}

/** An application that forgives nothing: what is not plain HTTP/1.1 is kept as a violation. */
export interface StrictUpstream {
  readonly origin: string;
  /** Requests that arrived whole, without health checks. */
  readonly requests: readonly StrictRequest[];
  /** What was wrong with the bytes that arrived, if anything was. */
  readonly violations: readonly string[];
  close(): Promise<void>;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
const REQUEST_LINE = /^[A-Z-]+ \/[\x21-\x7e]* HTTP\/1\.1$/;
const LENGTH = /^(?:0|[1-9]\d{0,15})$/;

/**
 * Starts a server that reads requests as strictly as the standard allows anybody to and answers each with 200.
 *
 * @param answer bytes of the answer to a request; a short one by default.
 */
export async function startStrictUpstream(
  answer: (request: StrictRequest) => string = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
): Promise<StrictUpstream> {
  const requests: StrictRequest[] = [];
  const violations: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      try {
        for (let taken = take(text); taken !== undefined; taken = take(text)) {
          text = text.slice(taken.length);
          if (!taken.request.line.includes(' /healthz ')) requests.push(taken.request);
          socket.write(answer(taken.request), 'latin1');
        }
      } catch (error) {
        violations.push(`${String(error)} in ${JSON.stringify(text.slice(0, 500))}`);
        socket.destroy();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    violations,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Names by which nobody but the gateway speaks, however they are spelled; and what it says of a test's client. */
const RESERVED = /^(?:x-)?zasov-|^x-forwarded-|^x-real-ip$|^(?:true-)?client-ip$/;
const OWN = new Set(['x-forwarded-for: 127.0.0.1', 'x-forwarded-proto: https']);

/** What every request that arrives has to be like, whatever its client sent. */
export function faultsOf(request: StrictRequest): string[] {
  const faults: string[] = [];
  const once = ['host', 'x-request-id', 'traceparent', 'forwarded', 'x-forwarded-for', 'connection'];
  for (const name of once)
    if (request.values(name).length !== 1)
      faults.push(`${name} stands there ${request.values(name).length} times`);
  for (const name of ['te', 'trailer', 'keep-alive', 'expect', 'proxy-connection', 'proxy-authorization'])
    if (request.values(name).length > 0) faults.push(`${name} stands there`);
  if (request.values('upgrade').length > 0 && !isHandshake(request)) faults.push('upgrade stands there');
  for (const header of request.headers) {
    const name = header
      .slice(0, header.indexOf(':'))
      .replaceAll(/[^a-z0-9]/gi, '-')
      .toLowerCase();
    if (
      RESERVED.test(name) &&
      !OWN.has(header) &&
      header !== `x-forwarded-host: ${request.values('host')[0]}`
    )
      faults.push(`a claim of the client: ${header}`);
  }
  if (request.line.includes('/denied')) faults.push('a closed path');
  return faults;
}

/** What the gateway itself asks for on behalf of a client that asked for it by the rules (RFC 6455 section 4.1). */
function isHandshake(request: StrictRequest): boolean {
  const one = (name: string): string | undefined =>
    request.values(name).length === 1 ? request.values(name)[0] : undefined;
  return (
    request.line.startsWith('GET ') &&
    request.framing === 'none' &&
    one('upgrade') === 'websocket' &&
    one('connection') === 'Upgrade' &&
    one('sec-websocket-version') === '13' &&
    one('sec-websocket-key')?.length === 24
  );
}

function take(text: string): { request: StrictRequest; length: number } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [line = '', ...headers] = text.slice(0, end).split('\r\n');
  if (!REQUEST_LINE.test(line)) throw new Error(`a request line "${line}"`);
  for (const header of headers) checkHeader(header);
  const values = (name: string): string[] =>
    headers
      .filter((header) => header.slice(0, header.indexOf(':')).toLowerCase() === name.toLowerCase())
      .map((header) => header.slice(header.indexOf(':') + 1).trim());
  if (values('host').length !== 1) throw new Error(`${values('host').length} Host headers`);
  const content = takeContent(values('content-length'), values('transfer-encoding'), text.slice(end + 4));
  if (content === undefined) return undefined;
  const { body, framing, length } = content;
  return { request: { line, headers, body, framing, values }, length: end + 4 + length };
}

function checkHeader(header: string): void {
  const colon = header.indexOf(':');
  if (!TOKEN.test(header.slice(0, colon))) throw new Error(`a header "${header}"`);
  // eslint-disable-next-line no-control-regex -- control bytes are what is looked for
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(header)) throw new Error(`a control byte in "${header}"`);
}

function takeContent(
  lengths: readonly string[],
  codings: readonly string[],
  text: string,
): { body: string; framing: StrictRequest['framing']; length: number } | undefined {
  if (codings.length > 0) {
    if (codings.length > 1 || codings[0] !== 'chunked' || lengths.length > 0)
      throw new Error(`the framing "${codings.join()}" with lengths "${lengths.join()}"`);
    return takeChunks(text);
  }
  if (lengths.length === 0) return { body: '', framing: 'none', length: 0 };
  const [length = ''] = lengths;
  if (lengths.length > 1 || !LENGTH.test(length)) throw new Error(`the lengths "${lengths.join()}"`);
  if (text.length < Number(length)) return undefined;
  return { body: text.slice(0, Number(length)), framing: 'length', length: Number(length) };
}

function takeChunks(text: string): { body: string; framing: 'chunked'; length: number } | undefined {
  let body = '';
  let at = 0;
  for (;;) {
    const line = text.indexOf('\r\n', at);
    if (line === -1) return undefined;
    const digits = text.slice(at, line);
    if (!/^[0-9a-f]{1,8}$/i.test(digits)) throw new Error(`a chunk of size "${digits}"`);
    const size = Number.parseInt(digits, 16);
    const next = line + 2 + size;
    if (text.length < next + 2) return undefined;
    if (text.slice(next, next + 2) !== '\r\n') throw new Error('a chunk, or trailers, without an end');
    if (size === 0) return { body, framing: 'chunked', length: next + 2 };
    body += text.slice(line + 2, next);
    at = next + 2;
  }
}
