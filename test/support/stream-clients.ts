import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { Agent, WebSocket } from 'undici';

import type { HttpsClient } from './https-client.ts';
import type { RunningGateway } from './start-gateway.ts';

/** How a stream ended, and when (`performance.now()`). */
export interface StreamEnd {
  readonly atMs: number;
  /** The close code of a WebSocket; of an event stream whether it ended as a whole answer does. */
  readonly how: number | 'whole' | 'broken';
}

/** Opens WebSockets and event streams through a gateway. */
export class StreamClients {
  readonly #gateway: RunningGateway;
  readonly #agents: Agent[] = [];

  constructor(gateway: RunningGateway) {
    this.#gateway = gateway;
  }

  /** @returns how it ends; resolves once it is open. @throws Error when the handshake is refused. */
  async openSocket(person: HttpsClient): Promise<Promise<StreamEnd>[]> {
    // A connection of its own, so that workers share the streams.
    const dispatcher = new Agent({ connect: { ca: this.#gateway.ca, servername: 'localhost' } });
    this.#agents.push(dispatcher);
    const headers = { cookie: person.jar.header(), 'user-agent': 'zasov-test' };
    const socket = new WebSocket(`wss://127.0.0.1:${this.#gateway.port}/live`, { dispatcher, headers });
    const ended = new Promise<StreamEnd>((resolve) => {
      socket.addEventListener('close', ({ code }) => resolve({ atMs: performance.now(), how: code }));
    });
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('close', ({ code }) => reject(new Error(`the handshake failed: ${code}`)));
    });
    return [ended];
  }

  /** @returns how it ends; resolves once the head came. @throws Error when it is not answered with 200. */
  async openEvents(person: HttpsClient): Promise<Promise<StreamEnd>[]> {
    const outgoing = request({
      host: '127.0.0.1',
      port: this.#gateway.port,
      servername: 'localhost',
      ca: this.#gateway.ca,
      agent: false,
      path: '/events',
      headers: {
        host: `localhost:${this.#gateway.port}`,
        accept: 'text/event-stream',
        cookie: person.jar.header(),
        'user-agent': 'zasov-test',
      },
    }).end();
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`an event stream got ${answer.statusCode}`);
    return [
      new Promise<StreamEnd>((resolve) => {
        answer.resume();
        answer.on('error', () => undefined);
        answer.once('close', () =>
          resolve({ atMs: performance.now(), how: answer.complete ? 'whole' : 'broken' }),
        );
      }),
    ];
  }

  async close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.destroy()));
  }
}
