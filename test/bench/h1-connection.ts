import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { DATA_PATH, FETCH_HEADERS, TLS_OFFER, loginHeaders } from './browser-request.ts';
import type { CookieJar } from './cookie-jar.ts';

/** What a connection of the load generator can do; one request at a time on HTTP/1, one per stream on HTTP/2. */
export interface LoadConnection {
  /** Sends the login form and adopts the cookies of the answer. */
  signIn(jar: CookieJar, person: string): Promise<void>;
  /** Fetches the data once; rejects unless the answer is the expected one, byte for byte. */
  fetchData(jar: CookieJar): Promise<void>;
  /** Name of the negotiated cipher. */
  readonly cipher: string;
  close(): void;
}

interface Waiting {
  readonly jar: CookieJar;
  readonly body: Buffer | undefined;
  resolve(): void;
  reject(error: Error): void;
}

const dataHead = `GET ${DATA_PATH} HTTP/1.1\r\n`;
const fetchFields = FETCH_HEADERS.map(([name, value]) => `${name}: ${value}\r\n`).join('');

/** A keep-alive HTTP/1.1 connection written by hand, so that the generator takes little of its core. */
export class H1Connection implements LoadConnection {
  readonly #socket: TLSSocket;
  readonly #expected: Buffer;
  readonly #origin: string;
  readonly #fields: string;
  #received: Buffer | undefined;
  #waiting: Waiting | undefined;
  #closed = false;

  private constructor(socket: TLSSocket, port: number, expected: Buffer) {
    this.#socket = socket;
    this.#expected = expected;
    this.#origin = `https://localhost:${port}`;
    this.#fields = `host: localhost:${port}\r\nconnection: keep-alive\r\n${fetchFields}`;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed a connection')));
  }

  /** Opens a connection; `expected` is the body that every fetch must bring. */
  static open(port: number, expected: Buffer): Promise<H1Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...TLS_OFFER, port, ALPNProtocols: ['http/1.1'] }, () => {
        socket.off('error', reject);
        socket.setNoDelay(true);
        resolve(new H1Connection(socket, port, expected));
      });
      socket.once('error', reject);
    });
  }

  get cipher(): string {
    return this.#socket.getCipher().name;
  }

  signIn(jar: CookieJar, person: string): Promise<void> {
    const body = `username=${person}&password=correct-horse`;
    const fields = loginHeaders(this.#origin, body).map(([name, value]) => `${name}: ${value}\r\n`);
    const host = `host: ${this.#origin.slice('https://'.length)}\r\nconnection: keep-alive\r\n`;
    return this.#exchange(`POST /login HTTP/1.1\r\n${host}${fields.join('')}\r\n${body}`, jar, undefined);
  }

  fetchData(jar: CookieJar): Promise<void> {
    return this.#exchange(`${dataHead}${this.#fields}${jar.lines}\r\n`, jar, this.#expected);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #exchange(request: string, jar: CookieJar, body: Buffer | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#waiting !== undefined) throw new Error('one request at a time');
      this.#waiting = { jar, body, resolve, reject };
      this.#socket.write(request, 'latin1');
    });
  }

  #take(chunk: Buffer): void {
    const received = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk]);
    const end = received.indexOf('\r\n\r\n');
    const head = end < 0 ? '' : received.toString('latin1', 0, end);
    const length = end < 0 ? 0 : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
    if (end < 0 || received.length < end + 4 + length) {
      this.#received = received;
      return;
    }
    this.#received = undefined;
    this.#answer(head, received.subarray(end + 4));
  }

  #answer(head: string, body: Buffer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return this.#fail(new Error('an answer that nobody asked for'));
    if (/\r\nset-cookie:/i.test(head)) {
      for (const found of head.matchAll(/\r\nset-cookie: *([^\r]*)/gi)) waiting.jar.adopt(found[1] ?? '');
    }
    const wanted = waiting.body === undefined ? '302' : '200';
    if (head.slice(9, 12) !== wanted || (waiting.body !== undefined && !waiting.body.equals(body))) {
      const error = new Error(`unexpected answer:\n${head}\n\n${body.toString('utf8').slice(0, 500)}`);
      return waiting.reject(error);
    }
    waiting.resolve();
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
