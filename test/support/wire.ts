import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectPlain } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { RunningGateway } from './start-gateway.ts';

/** How long anything on loopback may take before a test says that it does not come. */
const PATIENCE_MS = 5000;

/** One HTTP/1.1 answer as it stood on the wire. */
export interface WireAnswer {
  readonly status: number;
  /** Head as sent, without the blank line. */
  readonly head: string;
  readonly body: string;
}

/** A TLS connection of which a test writes and reads the very bytes (as Latin-1 text). */
export class Wire {
  readonly socket: TLSSocket;
  /** Everything that came. */
  received = '';
  isClosed = false;
  #used = 0;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => (this.received += text));
    // A reset is one of the ways in which the other side may close.
    socket.on('error', () => undefined);
    socket.once('close', () => (this.isClosed = true));
  }

  /** Connects to the public listener. @param localAddress where from; any address of 127/8 will do. */
  static async open(
    { port, ca }: Pick<RunningGateway, 'port' | 'ca'>,
    protocol = 'http/1.1',
    localAddress = '127.0.0.1',
  ): Promise<Wire> {
    const socket = connect({
      socket: connectPlain({ host: '127.0.0.1', port, localAddress }),
      ca,
      servername: 'localhost',
      ALPNProtocols: [protocol],
    });
    await once(socket, 'secureConnect');
    return new Wire(socket);
  }

  send(bytes: string): void {
    this.socket.write(bytes, 'latin1');
  }

  /** @throws Error when the text does not come in time. */
  async until(wanted: RegExp | string, patienceMs = PATIENCE_MS): Promise<void> {
    const isThere = () =>
      typeof wanted === 'string' ? this.received.includes(wanted) : wanted.test(this.received);
    await eventually(isThere, patienceMs, () => `${String(wanted)} in "${this.received.slice(-300)}"`);
  }

  /** @throws Error when the other side keeps the connection open. */
  async closed(patienceMs = PATIENCE_MS): Promise<void> {
    await eventually(
      () => this.isClosed,
      patienceMs,
      () => 'the end of the connection',
    );
  }

  /**
   * Reads the next answer; interim answers count as answers.
   *
   * @param isBodiless whether it is one to HEAD.
   */
  async answer(isBodiless = false): Promise<WireAnswer> {
    let found: { answer: WireAnswer; length: number } | undefined;
    await eventually(
      () => (found = takeAnswer(this.received.slice(this.#used), isBodiless, this.isClosed)) !== undefined,
      PATIENCE_MS,
      () => `an answer in "${this.received.slice(this.#used, this.#used + 300)}"`,
    );
    this.#used += found?.length ?? 0;
    return found?.answer ?? { status: 0, head: '', body: '' };
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Sends bytes on a connection of their own. @returns everything that came back until it closed. */
export async function sendBytes(
  gateway: Pick<RunningGateway, 'port' | 'ca'>,
  bytes: string,
): Promise<string> {
  const wire = await Wire.open(gateway);
  wire.send(bytes);
  await wire.closed();
  return wire.received;
}

/**
 * Looks again and again until something is so.
 *
 * @throws Error that names what was waited for.
 */
export async function eventually(
  isSo: () => boolean | Promise<boolean>,
  patienceMs = PATIENCE_MS,
  what: () => string = () => 'what was waited for',
): Promise<void> {
  const untilMs = performance.now() + patienceMs;
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(`${what()} did not come within ${patienceMs} ms`);
    await pause(10);
  }
}

function takeAnswer(
  text: string,
  isBodiless: boolean,
  isClosed: boolean,
): { answer: WireAnswer; length: number } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const head = text.slice(0, end);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
  const hasNoBody = isBodiless || status < 200 || status === 204 || status === 304;
  const content = hasNoBody ? { body: '', length: 0 } : takeBody(head, text.slice(end + 4), isClosed);
  if (content === undefined) return undefined;
  return { answer: { status, head, body: content.body }, length: end + 4 + content.length };
}

function takeBody(
  head: string,
  text: string,
  isClosed: boolean,
): { body: string; length: number } | undefined {
  if (/^transfer-encoding: chunked$/im.test(head)) return takeChunks(text);
  const announced = /^content-length: (\d+)$/im.exec(head)?.[1];
  if (announced === undefined) return isClosed ? { body: text, length: text.length } : undefined;
  const length = Number(announced);
  return text.length < length ? undefined : { body: text.slice(0, length), length };
}

function takeChunks(text: string): { body: string; length: number } | undefined {
  let body = '';
  let at = 0;
  for (;;) {
    const line = text.indexOf('\r\n', at);
    if (line === -1) return undefined;
    const size = Number.parseInt(text.slice(at, line), 16);
    const next = line + 2 + size + 2;
    if (text.length < next) return undefined;
    if (size === 0) return { body, length: next };
    body += text.slice(line + 2, line + 2 + size);
    at = next;
  }
}
