import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { RunningGateway } from './start-gateway.ts';
import { eventually } from './wire.ts';

/** Frame types (RFC 9113 section 6). */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

/** Flags (RFC 9113 section 6); `ack` and `endStream` are the same bit on different frames. */
export const FLAG = { none: 0, ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** A frame as it came. */
export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** One frame's bytes; the length may be claimed to be another than it is. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A number in the payload of WINDOW_UPDATE, RST_STREAM and the like. */
export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Pairs of a SETTINGS frame. */
export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.concat(
    pairs.map(([id, value]) => {
      const bytes = Buffer.alloc(6);
      bytes.writeUInt16BE(id);
      bytes.writeUInt32BE(value, 2);
      return bytes;
    }),
  );
  return frame(FRAME.settings, FLAG.none, 0, payload);
}

/** A field block (RFC 7541 section 6.2.2): every field literal, without index, without Huffman, any bytes. */
export function block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])),
  );
}

/** A string of a field block (RFC 7541 section 5.2), as Latin-1. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7, 0), bytes]);
}

/** An integer with a prefix of so many bits (RFC 7541 section 5.1). */
export function integer(value: number, bits: number, first: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([first | value]);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** The fields of an ordinary GET. */
export function fieldsOf(path: string, method = 'GET'): [string, string][] {
  return [
    [':method', method],
    [':scheme', 'https'],
    [':authority', 'localhost'],
    [':path', path],
  ];
}

/** A HEADERS frame of an ordinary GET. */
export function getFrame(stream: number, path = '/case'): Buffer {
  return frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, stream, block(fieldsOf(path)));
}

/** An HTTP/2 connection of which a test writes and reads the very frames. */
export class FrameClient {
  readonly socket: TLSSocket;
  readonly frames: ReceivedFrame[] = [];
  isClosed = false;
  /** Whether SETTINGS and PING of the gateway are acknowledged. */
  isPolite = true;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    // A reset is one of the ways in which the other side may close.
    socket.on('error', () => undefined);
    socket.once('close', () => (this.isClosed = true));
  }

  /**
   * Connects to the public listener and says hello.
   *
   * @param hello frames instead of SETTINGS without a dynamic table, by which answers can be read.
   * @param localAddress where the connection comes from; any address of 127/8 will do.
   */
  static async open(
    { port, ca }: Pick<RunningGateway, 'port' | 'ca'>,
    hello: Buffer = settings([1, 0]),
    localAddress = '127.0.0.1',
  ): Promise<FrameClient> {
    const socket = connect({
      socket: connectPlain({ host: '127.0.0.1', port, localAddress }),
      ca,
      servername: 'localhost',
      ALPNProtocols: ['h2'],
    });
    await once(socket, 'secureConnect');
    const client = new FrameClient(socket);
    client.send(PREFACE, hello);
    return client;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** Status of the answer on a stream, once its head came. */
  statusOf(stream: number): number | undefined {
    const heads = this.frames.filter((each) => each.type === FRAME.headers && each.stream === stream);
    return heads.map(({ payload }) => status(payload)).find((each) => each >= 200);
  }

  /** What a stream was reset with, if it was. */
  resetOf(stream: number): number | undefined {
    const found = this.frames.find((each) => each.type === FRAME.reset && each.stream === stream);
    return found?.payload.readUInt32BE();
  }

  /** What the connection is ended with, if it is. */
  get goneWith(): number | undefined {
    const all = this.frames.filter(({ type }) => type === FRAME.goaway);
    return all.at(-1)?.payload.readUInt32BE(4);
  }

  /** Whether a stream is over: answered to its end, or reset. */
  isOver(stream: number): boolean {
    return this.frames.some(
      (each) =>
        each.stream === stream &&
        (each.type === FRAME.reset || (each.type <= FRAME.headers && (each.flags & FLAG.endStream) !== 0)),
    );
  }

  /** @throws Error when it does not come in time. */
  async until(isSo: () => boolean, what: string, patienceMs = 5000): Promise<void> {
    await eventually(isSo, patienceMs, () => what);
  }

  close(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) return;
      const [type = 0, flags = 0] = this.#rest.subarray(3, 5);
      const stream = this.#rest.readUInt32BE(5) & 0x7fffffff;
      const payload = Buffer.from(this.#rest.subarray(9, 9 + length));
      this.#rest = this.#rest.subarray(9 + length);
      this.frames.push({ type, flags, stream, payload });
      if (this.isPolite && (type === FRAME.settings || type === FRAME.ping) && (flags & FLAG.ack) === 0)
        this.send(frame(type, FLAG.ack, 0, type === FRAME.ping ? payload : undefined));
    }
  }
}

/** Statuses that stand in the static table (RFC 7541 appendix A), from index 8 on. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500];
const DIGITS_OF_FIVE = 3;

/** The status of a field block that begins with it and uses no dynamic table. */
function status(payload: Buffer): number {
  let at = 0;
  while (((payload[at] ?? 0) & 0xe0) === 0x20) at++;
  const first = payload[at] ?? 0;
  if (first >= 0x80) return STATUSES[(first & 0x7f) - 8] ?? 0;
  // A literal value under the name of index 8.
  const length = payload[at + 1] ?? 0;
  const bytes = payload.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number(length < 0x80 ? bytes.toString('latin1') : huffmanDigits(bytes));
}

/** Digits in Huffman's code (RFC 7541 appendix B): 0 to 2 have five bits, 3 to 9 have six. */
function huffmanDigits(bytes: Buffer): string {
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let digits = '';
  while (digits.length < 3) {
    const five = Number.parseInt(bits.slice(0, 5), 2);
    const isShort = five < DIGITS_OF_FIVE;
    digits += isShort ? String(five) : String(Number.parseInt(bits.slice(0, 6), 2) - 0x19 + 3);
    bits = bits.slice(isShort ? 5 : 6);
  }
  return digits;
}
