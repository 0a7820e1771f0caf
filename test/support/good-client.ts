/* oxlint-disable unicorn/require-post-message-target-origin -- threads have no origin */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { RunningGateway } from './start-gateway.ts';

/** What a good client met in a time. */
export interface Waits {
  readonly count: number;
  readonly longestMs: number;
  readonly p99Ms: number;
  readonly failures: readonly string[];
}

/** Somebody who asks for a page again and again, in a thread of their own, while others misbehave. */
export class GoodClient {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start(
    { port, ca }: Pick<RunningGateway, 'port' | 'ca'>,
    everyMs = 5,
    path = '/good',
  ): Promise<GoodClient> {
    const worker = new Worker(new URL('good-client-thread.ts', import.meta.url), {
      workerData: { port, ca, everyMs, path },
    });
    await once(worker, 'message');
    return new GoodClient(worker);
  }

  /** What it met while something went on. */
  async during(something: () => Promise<unknown>): Promise<Waits> {
    this.#worker.postMessage('begin');
    await something();
    this.#worker.postMessage('end');
    const [{ waits, failures }] = (await once(this.#worker, 'message')) as [
      { waits: number[]; failures: string[] },
    ];
    const sorted = waits.toSorted((one, other) => one - other);
    return {
      count: waits.length,
      longestMs: sorted.at(-1) ?? 0,
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
      failures,
    };
  }

  async stop(): Promise<void> {
    this.#worker.postMessage('stop');
    await this.#worker.terminate();
  }
}
