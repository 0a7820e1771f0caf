import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

import { closeFrame, FrameTracker } from './frame-tracker.ts';

/** How long a frame may take to complete, and a client to answer our close, before the socket is cut. */
const CLOSE_DEADLINE_MS = 500;
/** Tells a client to connect again. */
const SERVICE_RESTART = 1012;
const HEAD_LIMIT_BYTES = 32 * 1024;

/** What the upgrade's owner wants to know and to decide. */
export interface WebSocketOwner {
  /**
   * Rewrites the head of the upstream's answer.
   *
   * @returns header lines without the status line.
   */
  answerHead(status: number, lines: readonly string[]): string[];
  /** The client sent something: a person is at work. */
  active(): void;
  /** So many bytes behind the head of the answer are about to go to the client. */
  sending(bytes: number): void;
}

/**
 * The client's side of a WebSocket, put between the client's socket and the forwarding library: it filters the
 * upstream's answer head, follows the frames towards the client, and so can end the stream with a proper close
 * frame at any moment.
 */
export class WebSocketClient extends Duplex {
  readonly #socket: Socket;
  readonly #owner: WebSocketOwner;
  #head: Buffer[] | undefined = [];
  #headBytes = 0;
  #frames: FrameTracker | undefined;
  #closing: Buffer | undefined;
  #isClosed = false;

  constructor(socket: Socket, owner: WebSocketOwner) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#owner = owner;
    socket.on('data', (chunk: Buffer) => {
      // Between our close and the client's its frames are for nobody (RFC 6455 section 1.4).
      if (this.#isClosed) return;
      if (!isControlFrame(chunk)) owner.active();
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => {
      if (!this.#isClosed) this.push(null);
    });
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.destroy());
    this.on('error', () => this.destroy());
  }

  /** The upstream's status, once its answer came. */
  status = 0;

  /**
   * Ends the stream with a close frame at the next frame boundary; cuts the socket when that takes too long.
   * Before the upgrade is through there is no frame to send and the socket is cut at once.
   *
   * @param cutsUpstream whether nothing more may pass to the upstream, not even its share of the goodbye.
   */
  closeWith(code: number, reason: string, cutsUpstream = false): void {
    if (cutsUpstream) this.emit('cut');
    if (this.#closing !== undefined || this.destroyed) return;
    this.#closing = closeFrame(code, reason);
    if (this.#frames === undefined) {
      this.destroy();
      return;
    }
    setTimeout(() => this.destroy(), CLOSE_DEADLINE_MS).unref();
    if (this.#frames.isAtBoundary) this.#sendClose();
  }

  // The forwarding library treats its client as a socket; these go through to the real one.
  setTimeout(milliseconds: number): this {
    this.#socket.setTimeout(milliseconds);
    return this;
  }

  setNoDelay(on: boolean): this {
    this.#socket.setNoDelay(on);
    return this;
  }

  setKeepAlive(on: boolean, delay: number): this {
    this.#socket.setKeepAlive(on, delay);
    return this;
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
    this.end();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.#isClosed || this.#socket.destroyed) callback();
    else if (this.#head !== undefined) this.#takeHead(chunk, callback);
    else this.#pass(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    const frames = this.#frames;
    // The upstream is gone without a goodbye: the client is told to connect again (RFC 6455 section 7.4.1).
    if (!this.#isClosed && frames?.isAtBoundary === true && !frames.hasClosed)
      this.#socket.write(closeFrame(SERVICE_RESTART, 'connect again'));
    // What was written last must have left before whoever asked for the end cuts the socket.
    this.#socket.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket.destroy();
    callback(error);
  }

  #takeHead(chunk: Buffer, callback: (error?: Error | null) => void): void {
    this.#head?.push(chunk);
    this.#headBytes += chunk.byteLength;
    const all = Buffer.concat(this.#head ?? []);
    const end = all.indexOf('\r\n\r\n');
    if (end === -1) {
      callback(this.#headBytes > HEAD_LIMIT_BYTES ? new Error('the upstream sent an endless head') : null);
      return;
    }
    this.#head = undefined;
    const [statusLine = '', ...lines] = all.toString('latin1', 0, end).split('\r\n');
    this.status = Number(statusLine.split(' ')[1]);
    if (this.status === 101) this.#frames = new FrameTracker();
    const head = [statusLine, ...this.#owner.answerHead(this.status, lines), '', ''].join('\r\n');
    this.#socket.write(head, 'latin1');
    const rest = all.subarray(end + 4);
    if (rest.length > 0) this.#pass(rest, callback);
    else callback();
  }

  #pass(chunk: Buffer, callback: (error?: Error | null) => void): void {
    this.#owner.sending(chunk.length);
    if (this.destroyed) {
      callback();
      return;
    }
    const followed = this.#frames?.follow(chunk, this.#closing !== undefined) ?? chunk.length;
    const hasRoom = followed === 0 || this.#socket.write(chunk.subarray(0, followed));
    if (this.#closing !== undefined && this.#frames?.isAtBoundary === true) this.#sendClose();
    if (hasRoom) callback();
    else this.#socket.once('drain', () => callback());
  }

  #sendClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.write(this.#closing ?? Buffer.alloc(0));
    this.end();
    // The upstream has nobody to talk to any more; the client's own close ends the rest.
    this.push(null);
  }
}

/** Browsers answer pings by themselves: control frames are no sign of a person (RFC 6455 section 5.5). */
function isControlFrame(chunk: Buffer): boolean {
  return ((chunk[0] ?? 0) & 0x08) !== 0;
}
