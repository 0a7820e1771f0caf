import { setTimeout as pause } from 'node:timers/promises';
import { HttpsClient, type Target } from '../support/https-client.ts';

/** One request that did not get what it asked for. */
export interface Failure {
  readonly what: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** Long enough for the latest of copies to catch up in between. */
const READS_AFTER_WRITE = 20;

/** People who each write a counter of their own and read it back, one request after another. */
export class MixedLoad {
  /** Ids of the changes that were acknowledged. */
  readonly acknowledged = new Set<string>();
  /** Reads that lacked a change of the same person. */
  readonly stale: string[] = [];
  readonly failures: Failure[] = [];
  /** Reads by the region that answered. */
  readonly readsByRegion = new Map<string, number>();
  reads = 0;
  readonly #target: Target;
  readonly #pauseMs: number;
  #isOver = false;
  #people: Promise<void>[] = [];

  constructor(target: Target, pauseMs: number) {
    this.#target = target;
    this.#pauseMs = pauseMs;
  }

  async start(count: number): Promise<void> {
    const clients = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const client = new HttpsClient(this.#target);
        const answer = await client.send('POST', '/login', { body: `person-${index}` });
        if (answer.status !== 200) throw new Error(`no sign-in: ${answer.status} ${answer.text}`);
        return client;
      }),
    );
    this.#people = clients.map((client, index) => this.#work(client, index));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#people);
  }

  /** Failures of requests that began outside of these times. */
  outside(windows: readonly { fromMs: number; toMs: number }[]): Failure[] {
    return this.failures.filter(
      ({ startMs, endMs }) => !windows.some(({ fromMs, toMs }) => endMs >= fromMs && startMs <= toMs),
    );
  }

  async #work(client: HttpsClient, index: number): Promise<void> {
    let last = 0;
    for (let count = 1; !this.#isOver; count++) {
      if (await this.#write(client, index, count)) last = count;
      for (let i = 0; i < READS_AFTER_WRITE && !this.#isOver; i++) {
        await this.#read(client, index, last);
        await pause(this.#pauseMs);
      }
    }
    client.close();
  }

  async #write(client: HttpsClient, index: number, count: number): Promise<boolean> {
    const id = `${index}-${count}`;
    const startMs = performance.now();
    try {
      const answer = await client.send('PUT', `/item/${index}`, {
        body: String(count),
        headers: { 'x-write-id': id },
      });
      if (answer.status === 200) {
        this.acknowledged.add(id);
        return true;
      }
      this.#failed(`write ${answer.status} ${codeOf(answer.text)}`, startMs);
    } catch (error) {
      this.#failed(`write ${String(error)}`, startMs);
    }
    return false;
  }

  async #read(client: HttpsClient, index: number, last: number): Promise<void> {
    const startMs = performance.now();
    try {
      const answer = await client.get(`/item/${index}`);
      if (answer.status !== 200) {
        this.#failed(`read ${answer.status} ${codeOf(answer.text)}`, startMs);
        return;
      }
      const { value, region } = JSON.parse(answer.text) as { value: string; region: string };
      this.reads++;
      this.readsByRegion.set(region, (this.readsByRegion.get(region) ?? 0) + 1);
      if (Number(value) < last) this.stale.push(`${region}: ${value} after ${last}`);
    } catch (error) {
      this.#failed(`read ${String(error)}`, startMs);
    }
  }

  #failed(what: string, startMs: number): void {
    this.failures.push({ what, startMs, endMs: performance.now() });
  }
}

function codeOf(text: string): string {
  try {
    return (JSON.parse(text) as { code?: string }).code ?? 'of the node';
  } catch {
    return 'of the node';
  }
}
