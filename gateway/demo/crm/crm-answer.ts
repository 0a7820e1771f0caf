import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Markup } from './html.ts';

/** What an answer's handler needs of a context. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * Sends text in chunks, gzipped by the CRM itself when the client accepts it. Never sends a length: that is how
 * applications answer, and a proxy has to carry it.
 */
export async function sendText(
  { request, response }: Exchange,
  status: number,
  contentType: string,
  chunks: readonly string[],
): Promise<void> {
  const isGzipped = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
  response.setHeader('Content-Type', contentType);
  response.setHeader('Vary', 'Accept-Encoding, Accept-Language, Cookie');
  if (isGzipped) response.setHeader('Content-Encoding', 'gzip');
  response.writeHead(status);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const source = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  try {
    await (isGzipped ? pipeline(source, createGzip(), response) : pipeline(source, response));
  } catch {
    // The client went away in the middle; there is nobody to tell.
    response.destroy();
  }
}

/** Sends a page that no cache may keep. */
export async function sendPage(exchange: Exchange, status: number, page: readonly Markup[]): Promise<void> {
  exchange.response.setHeader('Cache-Control', 'no-store, no-cache, must-revalidate');
  const chunks = page.map((piece) => piece.text);
  await sendText(exchange, status, 'text/html; charset=utf-8', chunks);
}

/** Sends a JSON document that no cache may keep. */
export async function sendJson(exchange: Exchange, status: number, document: unknown): Promise<void> {
  exchange.response.setHeader('Cache-Control', 'no-store');
  await sendText(exchange, status, 'application/json; charset=utf-8', [JSON.stringify(document)]);
}

/** Sends the browser elsewhere with an empty 302. */
export function redirect({ response }: Exchange, location: string): void {
  response.writeHead(302, { Location: location, 'Cache-Control': 'no-store' });
  response.end();
}

/**
 * The CRM's idea of its own address: plain `http://` and whatever the `Host` header says, also behind TLS. A bad
 * habit from real life, used after sign-in.
 */
export function ownOrigin(request: IncomingMessage): string {
  return `http://${request.headers.host ?? 'localhost'}`;
}
