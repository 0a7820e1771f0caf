/** The opcode of a close frame. */
const CLOSE = 8;

/**
 * Follows the frame boundaries of a WebSocket byte stream (RFC 6455 section 5.2) without keeping any of it:
 *
 *   byte 0: FIN, opcode · byte 1: mask bit, 7-bit length (126: 2 more bytes, 127: 8 more) · mask key 4 bytes if masked
 *
 * A frame of our own can be put between two frames only.
 */
export class FrameTracker {
  /** Payload bytes of the current frame still to come. */
  #remaining = 0;
  readonly #header: number[] = [];
  #headerBytes = 2;
  /** Whether a close frame went by, after which nothing may follow (RFC 6455 section 5.5.1). */
  hasClosed = false;

  /** Whether the bytes seen so far end exactly at the end of a frame. */
  get isAtBoundary(): boolean {
    return this.#remaining === 0 && this.#header.length === 0;
  }

  /**
   * Takes more bytes.
   *
   * @param stopAtBoundary stop behind the first whole frame.
   * @returns how many bytes of the chunk were followed: all of them, unless it stopped at a boundary.
   */
  follow(chunk: Uint8Array, stopAtBoundary: boolean): number {
    let at = 0;
    while (at < chunk.length) {
      if (stopAtBoundary && this.isAtBoundary) return at;
      if (this.#remaining > 0) {
        const step = Math.min(this.#remaining, chunk.length - at);
        this.#remaining -= step;
        at += step;
      } else {
        this.#takeHeaderByte(chunk[at] ?? 0);
        at++;
      }
    }
    return at;
  }

  #takeHeaderByte(byte: number): void {
    const header = this.#header;
    header.push(byte);
    if (header.length === 2) {
      const short = byte & 0x7f;
      this.#headerBytes = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (byte & 0x80 ? 4 : 0);
    }
    if (header.length < this.#headerBytes) return;
    if (((header[0] ?? 0) & 0x0f) === CLOSE) this.hasClosed = true;
    this.#remaining = payloadLength(header);
    header.length = 0;
    this.#headerBytes = 2;
  }
}

function payloadLength(header: readonly number[]): number {
  const short = (header[1] ?? 0) & 0x7f;
  if (short < 126) return short;
  let length = 0;
  for (let i = 2; i < (short === 126 ? 4 : 10); i++) length = length * 256 + (header[i] ?? 0);
  return length;
}

/** A close frame from a server: unmasked, with a status code (RFC 6455 section 5.5.1). */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason).subarray(0, 123);
  const frame = Buffer.alloc(4 + text.length);
  frame[0] = 0x88;
  frame[1] = 2 + text.length;
  frame.writeUInt16BE(code, 2);
  text.copy(frame, 4);
  return frame;
}
