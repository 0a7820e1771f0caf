import type { IncomingMessage } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { Agent, request } from 'node:https';
import { CookieJar } from './cookie-jar.ts';

/** Where the gateway is and whom to trust. */
export interface Target {
  /** Host name for SNI and `Host`; always reached at 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  /** PEM of the authority. */
  readonly ca: string;
  /** PEM of a client certificate and its key, for the admin listener. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** One answer, read whole. */
export interface Answer {
  readonly status: number;
  header(name: string): string | undefined;
  readonly setCookies: readonly string[];
  readonly body: Buffer;
  readonly text: string;
}

/** What to send beside method and path. */
export interface Sending {
  readonly headers?: Record<string, string>;
  /** Fields of an urlencoded form. */
  readonly form?: Record<string, string>;
  readonly body?: Buffer | string;
}

/** A client with cookies: what curl or a browser is to a gateway, over HTTP/1.1. Never follows redirects. */
export class HttpsClient {
  readonly jar: CookieJar;
  readonly #target: Target;
  readonly #agent: Agent;

  constructor(target: Target, jar = new CookieJar()) {
    this.#target = target;
    this.jar = jar;
    this.#agent = new Agent({ keepAlive: true, servername: target.host, ...trustOf(target) });
  }

  get(path: string, sending: Sending = {}): Promise<Answer> {
    return this.send('GET', path, sending);
  }

  post(path: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('POST', path, { form, headers });
  }

  async send(method: string, path: string, sending: Sending = {}): Promise<Answer> {
    const body = bodyOf(sending);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request(
        {
          agent: this.#agent,
          host: '127.0.0.1',
          port: this.#target.port,
          method,
          path,
          headers: {
            host: `${this.#target.host}:${this.#target.port}`,
            ...headersOf(sending, body, this.jar),
          },
        },
        resolve,
      );
      outgoing.once('error', reject);
      outgoing.end(body);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    const setCookies = answer.headers['set-cookie'] ?? [];
    this.jar.store(setCookies);
    return makeAnswer(answer.statusCode ?? 0, answer.headers, setCookies, Buffer.concat(chunks));
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** The same over one HTTP/2 connection. */
export class Http2Client {
  readonly jar: CookieJar;
  readonly #session: ClientHttp2Session;

  constructor(target: Target, jar = new CookieJar()) {
    this.jar = jar;
    this.#session = connect(`https://${target.host}:${target.port}`, {
      ...trustOf(target),
      servername: target.host,
      host: '127.0.0.1',
    });
    // Each request reports its own failure; without a listener the connection's would end the process.
    this.#session.on('error', () => undefined);
  }

  async send(method: string, path: string, sending: Sending = {}): Promise<Answer> {
    const body = bodyOf(sending);
    const stream = this.#session.request(
      { ':method': method, ':path': path, ...headersOf(sending, body, this.jar) },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(body);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    return await new Promise((resolve, reject) => {
      stream.once('error', reject);
      // A connection that goes in good order takes its streams along without an error.
      stream.once('close', () => reject(new Error('the stream closed before its answer was whole')));
      stream.once('response', (headers) => {
        stream.once('end', () => {
          const setCookies = headers['set-cookie'] ?? [];
          this.jar.store(setCookies);
          resolve(makeAnswer(headers[':status'] ?? 0, headers, setCookies, Buffer.concat(chunks)));
        });
      });
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

function trustOf({ ca, cert, key }: Target): Pick<Target, 'ca' | 'cert' | 'key'> {
  return cert === undefined ? { ca } : { ca, cert, key };
}

function bodyOf(sending: Sending): Buffer | undefined {
  if (sending.form !== undefined) return Buffer.from(new URLSearchParams(sending.form).toString());
  return sending.body === undefined ? undefined : Buffer.from(sending.body);
}

function headersOf(sending: Sending, body: Buffer | undefined, jar: CookieJar): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': 'zasov-test' };
  if (jar.header() !== '') headers.cookie = jar.header();
  if (body !== undefined) headers['content-length'] = String(body.length);
  if (sending.form !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded';
  return { ...headers, ...sending.headers };
}

function makeAnswer(
  status: number,
  headers: Record<string, string | string[] | undefined>,
  setCookies: readonly string[],
  body: Buffer,
): Answer {
  return {
    status,
    setCookies,
    body,
    text: body.toString('utf8'),
    header: (name) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
  };
}
