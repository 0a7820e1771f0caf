/**
 * The HTTP/2 yardstick, a program of its own: Node's core `http2` stream API and undici, no security at all.
 *
 * Usage: `node bare-h2.ts UPSTREAM CERT KEY`
 */
import { constants, createSecureServer } from 'node:http2';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { PassThrough } from 'node:stream';
import { Pool } from 'undici';
import type { AnswerSink } from './bare-handler.ts';
import { BareHandler } from './bare-handler.ts';
import { isHopByHop } from './hop-by-hop.ts';
import { listenAndSayReady, serviceArguments } from './service.ts';

class StreamSink implements AnswerSink {
  readonly #stream: ServerHttp2Stream;
  #last: Buffer | undefined;
  #remaining = Number.POSITIVE_INFINITY;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  head(status: number, headers: Record<string, string | string[] | undefined>): void {
    const copy: OutgoingHttpHeaders = { ':status': status };
    for (const name in headers) {
      if (!isHopByHop(name)) copy[name] = headers[name];
    }
    const length = headers['content-length'];
    if (typeof length === 'string') this.#remaining = Number(length);
    this.#stream.respond(copy);
  }

  // The last chunk waits for the end, so that it leaves in one DATA frame that also ends the stream.
  data(chunk: Buffer): boolean {
    this.#remaining -= chunk.length;
    if (this.#remaining > 0) return this.#stream.write(chunk);
    this.#last = chunk;
    return true;
  }

  end(): void {
    if (this.#last === undefined) this.#stream.end();
    else this.#stream.end(this.#last);
  }

  fail(): void {
    if (this.#stream.headersSent) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    else this.#stream.respond({ ':status': 502 }, { endStream: true });
  }
}

const { upstream, tls } = serviceArguments();
const pool = new Pool(upstream, { connections: 256, keepAliveTimeout: 60_000 });

function upstreamHeaders(headers: IncomingHttpHeaders): string[] {
  const copy: string[] = ['host', headers[':authority'] ?? ''];
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name.charCodeAt(0) === 0x3a || isHopByHop(name)) continue;
    copy.push(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return copy;
}

function forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const handler = new BareHandler(new StreamSink(stream));
  stream.on('drain', () => handler.resume());
  stream.on('error', () => handler.clientGone());
  stream.on('close', () => {
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) handler.clientGone();
  });
  pool.dispatch(
    {
      path: headers[':path'] ?? '/',
      method: headers[':method'] ?? 'GET',
      headers: upstreamHeaders(headers),
      // undici destroys a body that it has read to the end, which would take the answer's half of the stream with it.
      body: stream.endAfterHeaders ? null : stream.pipe(new PassThrough()),
    },
    handler,
  );
}

const server = createSecureServer({ ...tls, allowHTTP1: false });
server.on('stream', forward);
server.on('sessionError', () => undefined);
listenAndSayReady(server);
