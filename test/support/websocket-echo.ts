import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;

/**
 * Accepts a WebSocket handshake (RFC 6455) and sends every text message back with `echo: ` in front. Takes frames of
 * less than 126 bytes that arrive whole, which is all that a test on loopback sends.
 */
export function acceptWebSocket(request: IncomingMessage, socket: Duplex): void {
  const key = request.headers['sec-websocket-key'] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  // The peer may go without a word; that is what some tests are about.
  socket.on('error', () => undefined);
  // Node leaves upgraded sockets half open; a WebSocket has no use for that.
  socket.on('end', () => socket.end());
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (let frame = takeFrame(); frame !== undefined; frame = takeFrame()) reply(socket, frame);
  });
  const takeFrame = (): { opcode: number; payload: Buffer } | undefined => {
    const length = (pending[1] ?? 0) & 0x7f;
    if (pending.length < 6 + length) return undefined;
    const mask = pending.subarray(2, 6);
    const payload = Buffer.from(pending.subarray(6, 6 + length)).map(
      (byte, at) => byte ^ (mask[at % 4] ?? 0),
    );
    const opcode = (pending[0] ?? 0) & 0x0f;
    pending = pending.subarray(6 + length);
    return { opcode, payload: Buffer.from(payload) };
  };
}

function reply(socket: Duplex, { opcode, payload }: { opcode: number; payload: Buffer }): void {
  if (opcode === TEXT) socket.write(frameOf(TEXT, Buffer.concat([Buffer.from('echo: '), payload])));
  if (opcode === PING) socket.write(frameOf(0xa, payload));
  if (opcode === CLOSE) socket.end(frameOf(CLOSE, payload));
}

function frameOf(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload]);
}
