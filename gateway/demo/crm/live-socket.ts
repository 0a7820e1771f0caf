import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { LiveHub, LiveListener } from './live-hub.ts';
import {
  ClientFrameReader,
  closingFrame,
  FrameError,
  OPCODE,
  serverFrame,
  type ClientFrame,
} from './websocket-frame.ts';

/** Fixed by RFC 6455 section 1.3. */
const HANDSHAKE_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const PING_EVERY_MS = 25_000;
const MESSAGE_LIMIT_BYTES = 64 * 1024;
/** A reader this far behind is cut off instead of being held in memory. */
const BACKLOG_LIMIT_BYTES = 1024 * 1024;

/**
 * Upgrades a request and feeds the socket with the account's changes as JSON text frames. A text message of the
 * client comes back as `{"type":"echo","text":…}`.
 *
 * The feed lives until one side closes it: signing out does not end it, one of the habits that the gateway mends.
 */
export function serveLiveSocket(
  request: IncomingMessage,
  socket: Duplex,
  hub: LiveHub,
  account: string,
): void {
  const key = request.headers['sec-websocket-key'];
  if (request.headers['sec-websocket-version'] !== '13' || key === undefined) {
    refuseUpgrade(socket, '426 Upgrade Required', 'Sec-WebSocket-Version: 13\r\n');
    return;
  }
  const live = new LiveSocket(socket);
  const listener: LiveListener = {
    account,
    send: (change) => live.sendText(JSON.stringify(change)),
    close: () => live.close(1001, 'the server stops'),
  };
  if (!hub.add(listener)) {
    refuseUpgrade(socket, '503 Service Unavailable');
    return;
  }
  socket.once('close', () => hub.remove(listener));
  const accept = createHash('sha1')
    .update(key + HANDSHAKE_GUID)
    .digest('base64');
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  live.sendText(JSON.stringify({ type: 'hello', account }));
}

/** Answers an upgrade with a refusal and closes. */
export function refuseUpgrade(socket: Duplex, status: string, headers = ''): void {
  socket.end(`HTTP/1.1 ${status}\r\n${headers}Content-Length: 0\r\nConnection: close\r\n\r\n`);
}

class LiveSocket {
  readonly #socket: Duplex;
  readonly #reader = new ClientFrameReader();
  readonly #ping: NodeJS.Timeout;
  #message: Buffer[] = [];
  #isAlive = true;
  #isClosing = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    this.#ping = setInterval(() => this.#checkAlive(), PING_EVERY_MS).unref();
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.once('close', () => clearInterval(this.#ping));
  }

  sendText(text: string): void {
    this.#write(serverFrame(OPCODE.text, Buffer.from(text)));
  }

  close(code: number, reason: string): void {
    this.#write(closingFrame(code, reason));
    this.#isClosing = true;
    this.#socket.end();
  }

  #write(frame: Buffer): void {
    if (this.#isClosing || this.#socket.destroyed) return;
    this.#socket.write(frame);
    if (this.#socket.writableLength > BACKLOG_LIMIT_BYTES) this.#socket.destroy();
  }

  #checkAlive(): void {
    if (!this.#isAlive) this.#socket.destroy();
    this.#isAlive = false;
    this.#write(serverFrame(OPCODE.ping, Buffer.alloc(0)));
  }

  #take(chunk: Buffer): void {
    this.#isAlive = true;
    try {
      for (const frame of this.#reader.read(chunk)) this.#handle(frame);
    } catch (error) {
      this.close(error instanceof FrameError ? error.code : 1011, 'protocol error');
    }
  }

  #handle(frame: ClientFrame): void {
    if (this.#isClosing) return;
    if (frame.opcode === OPCODE.ping) this.#write(serverFrame(OPCODE.pong, frame.payload));
    else if (frame.opcode === OPCODE.close) this.close(1000, '');
    else if (frame.opcode === OPCODE.text || frame.opcode === OPCODE.continuation) this.#collect(frame);
    else if (frame.opcode !== OPCODE.pong) throw new FrameError(1003, 'only text is understood');
  }

  #collect(frame: ClientFrame): void {
    this.#message.push(frame.payload);
    const message = Buffer.concat(this.#message);
    if (message.length > MESSAGE_LIMIT_BYTES) throw new FrameError(1009, 'the message is too large');
    if (!frame.isFinal) return;
    this.#message = [];
    this.sendText(JSON.stringify({ type: 'echo', text: message.toString() }));
  }
}
