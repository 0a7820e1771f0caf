import type { Duplex } from 'node:stream';

import { PROBLEMS, type ProblemCode } from '../core/gateway-error.ts';

const CODES: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** How long the client may take to read the answer and go, in milliseconds. */
const LINGER_MS = 2000;

/**
 * Answers a connection whose bytes are no HTTP/1.1 message (RFC 9112) and closes it: what follows on it cannot be
 * trusted to be where the next message begins.
 */
export function answerClientError(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const code = CODES[error.code ?? ''] ?? 'bad_request';
  const { status, title } = PROBLEMS[code];
  const body = JSON.stringify({ type: `urn:zasov:problem:${code}`, title, status, code });
  const cut = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(cut));
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
