import { connect } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { DATA_PATH, FETCH_HEADERS, TLS_OFFER, loginHeaders } from './browser-request.ts';
import type { CookieJar } from './cookie-jar.ts';
import type { LoadConnection } from './h1-connection.ts';

/** An HTTP/2 connection through Node's own client; carries several requests at a time. */
export class H2Connection implements LoadConnection {
  readonly #session: ClientHttp2Session;
  readonly #expected: Buffer;
  readonly #origin: string;
  readonly #fields: OutgoingHttpHeaders;
  readonly cipher: string;

  private constructor(session: ClientHttp2Session, socket: TLSSocket, origin: string, expected: Buffer) {
    this.#session = session;
    this.#expected = expected;
    this.#origin = origin;
    this.#fields = {
      ':method': 'GET',
      ':path': DATA_PATH,
      ':scheme': 'https',
      ':authority': origin.slice('https://'.length),
      ...Object.fromEntries(FETCH_HEADERS),
    };
    this.cipher = socket.getCipher().name;
  }

  /** Opens a connection; `expected` is the body that every fetch must bring. */
  static open(port: number, expected: Buffer): Promise<H2Connection> {
    return new Promise((resolve, reject) => {
      const origin = `https://localhost:${port}`;
      const socket = connectTls({ ...TLS_OFFER, port, ALPNProtocols: ['h2'] });
      const session = connect(origin, { createConnection: () => socket });
      session.once('error', reject);
      session.once('connect', () => {
        session.off('error', reject);
        session.on('error', () => session.destroy());
        resolve(new H2Connection(session, socket, origin, expected));
      });
    });
  }

  signIn(jar: CookieJar, person: string): Promise<void> {
    const body = `username=${person}&password=correct-horse`;
    const fields = loginHeaders(this.#origin, body);
    const head = { ...this.#fields, ...Object.fromEntries(fields), ':method': 'POST', ':path': '/login' };
    return this.#exchange(head, jar, body, 302, undefined);
  }

  fetchData(jar: CookieJar): Promise<void> {
    const head = jar.header === '' ? this.#fields : { ...this.#fields, cookie: jar.header };
    return this.#exchange(head, jar, undefined, 200, this.#expected);
  }

  close(): void {
    this.#session.destroy();
  }

  #exchange(
    head: OutgoingHttpHeaders,
    jar: CookieJar,
    sent: string | undefined,
    status: number,
    expected: Buffer | undefined,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request(head, { endStream: sent === undefined });
      const chunks: Buffer[] = [];
      let got = 0;
      stream.on('response', (headers: IncomingHttpHeaders & { ':status'?: number }) => {
        got = headers[':status'] ?? 0;
        for (const cookie of headers['set-cookie'] ?? []) jar.adopt(cookie);
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () => {
        const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
        if (got === status && (expected === undefined || expected.equals(body))) resolve();
        else reject(new Error(`unexpected answer: ${got}\n${body.toString('utf8').slice(0, 500)}`));
      });
      if (sent !== undefined) stream.end(sent);
    });
  }
}
