/** Opcodes of RFC 6455 section 5.2 that the CRM speaks. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** One frame of a client, unmasked. */
export interface ClientFrame {
  readonly isFinal: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** A breach of the protocol, with the close code that tells it (RFC 6455 section 7.4.1). */
export class FrameError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'FrameError';
    this.code = code;
  }
}

const PAYLOAD_LIMIT_BYTES = 64 * 1024;

/** One final frame of a server: never masked. */
export function serverFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([0x80 | opcode, length]), payload]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = length < 65_536 ? 126 : 127;
  if (length < 65_536) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

/** A close frame with its code and reason. */
export function closingFrame(code: number, reason: string): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return serverFrame(OPCODE.close, payload);
}

/** Takes a client's byte stream apart into frames. */
export class ClientFrameReader {
  #held: Buffer = Buffer.alloc(0);

  /**
   * Takes the next bytes.
   *
   * @returns the frames that are complete now.
   * @throws FrameError 1002 for a frame that is not masked or has reserved bits, 1009 above 64 KiB.
   */
  read(chunk: Buffer): ClientFrame[] {
    this.#held = Buffer.concat([this.#held, chunk]);
    const frames: ClientFrame[] = [];
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) frames.push(frame);
    return frames;
  }

  #take(): ClientFrame | undefined {
    const held = this.#held;
    if (held.length < 2) return undefined;
    const first = held.readUInt8(0);
    const second = held.readUInt8(1);
    refuseBreach(first, second);
    const marker = second & 0x7f;
    if (marker === 127) throw new FrameError(1009, 'the frame is too large');
    const maskAt = marker === 126 ? 4 : 2;
    if (held.length < maskAt + 4) return undefined;
    const length = marker === 126 ? held.readUInt16BE(2) : marker;
    if (length > PAYLOAD_LIMIT_BYTES) throw new FrameError(1009, 'the frame is too large');
    const end = maskAt + 4 + length;
    if (held.length < end) return undefined;
    const mask = held.subarray(maskAt, maskAt + 4);
    const payload = unmask(held.subarray(maskAt + 4, end), mask);
    this.#held = held.subarray(end);
    return { isFinal: (first & 0x80) !== 0, opcode: first & 0x0f, payload };
  }
}

function refuseBreach(first: number, second: number): void {
  if ((first & 0x70) !== 0) throw new FrameError(1002, 'reserved bits are set');
  if ((second & 0x80) === 0) throw new FrameError(1002, 'a client frame must be masked');
}

function unmask(masked: Buffer, mask: Buffer): Buffer {
  return Buffer.from(masked.map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
}
