/**
 * The yardstick, a program of its own: Node `https` and undici with good craftsmanship and no security at all. It
 * streams, holds back-pressure and closes both sides together; it checks, limits, logs and adds nothing.
 *
 * Usage: `node bare-h1.ts UPSTREAM CERT KEY`
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { Pool } from 'undici';
import type { AnswerSink } from './bare-handler.ts';
import { BareHandler, forwardedHeaders } from './bare-handler.ts';
import { isHopByHop } from './hop-by-hop.ts';
import { listenAndSayReady, serviceArguments } from './service.ts';

class ResponseSink implements AnswerSink {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  head(status: number, headers: Record<string, string | string[] | undefined>): void {
    const copy: (string | string[])[] = [];
    for (const name in headers) {
      const value = headers[name];
      if (value !== undefined && !isHopByHop(name)) copy.push(name, value);
    }
    this.#response.writeHead(status, copy);
  }

  data(chunk: Buffer): boolean {
    return this.#response.write(chunk);
  }

  end(): void {
    this.#response.end();
  }

  fail(): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end();
  }
}

const { upstream, tls } = serviceArguments();
const pool = new Pool(upstream, { connections: 256, keepAliveTimeout: 60_000 });

function forward(request: IncomingMessage, response: ServerResponse): void {
  response.sendDate = false;
  const handler = new BareHandler(new ResponseSink(response));
  response.on('drain', () => handler.resume());
  response.on('close', () => {
    if (!response.writableFinished) handler.clientGone();
  });
  const { headers } = request;
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  pool.dispatch(
    {
      path: request.url ?? '/',
      method: request.method ?? 'GET',
      headers: forwardedHeaders(request.rawHeaders),
      body: hasBody ? request : null,
    },
    handler,
  );
}

listenAndSayReady(createServer({ ...tls, keepAliveTimeout: 75_000, noDelay: true }, forward));
