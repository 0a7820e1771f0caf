import type { Clock } from '../core/clock.ts';
import type { Parameter, RedisConnection } from './redis-connection.ts';
import type { RedisFamilyIndex } from './redis-family-index.ts';
import { readAnswer } from './redis-family.ts';
import type { FamilyAnswer } from './redis-family.ts';
import { PUSH_CHANNEL, familyKey } from './redis-keys.ts';
import type { readScripts } from './redis-script.ts';
import type { ReplayLog } from './replay-log.ts';
import type { EndReason } from './session-store.ts';

/** How many families are worked on side by side. */
const WIDTH = 200;

/** What the operations on families are made of. */
interface RedisFamiliesOptions {
  readonly connection: RedisConnection;
  readonly scripts: ReturnType<typeof readScripts>;
  readonly index: RedisFamilyIndex;
  readonly log: ReplayLog;
  readonly node: string;
  /** Stands in for the server's clock in tests. */
  readonly testClock: Clock | undefined;
  /** Told of every end that happened here. */
  readonly tell: (id: string, reason: EndReason) => void;
}

/** The operations of family.lua, and what an end needs beside them: a replica, the index, everybody told. */
export class RedisFamilies {
  readonly #options: RedisFamiliesOptions;

  constructor(options: RedisFamiliesOptions) {
    this.#options = options;
  }

  /** The time that scripts are given: none, so that they take the server's. */
  get override(): number | '' {
    return this.#options.testClock?.now() ?? '';
  }

  /** Runs one operation on one family. */
  run(operation: string, id: string, parameters: readonly Parameter[]): Promise<unknown> {
    const { connection, scripts } = this.#options;
    return connection.run(scripts.family, [familyKey(id)], [...this.#head(operation, id), ...parameters]);
  }

  async show(id: string): Promise<FamilyAnswer | undefined> {
    return readAnswer(id, await this.run('show', id, []));
  }

  /** @returns whether it was alive. */
  async end(id: string, reason: EndReason): Promise<boolean> {
    if ((await this.#write(id, reason)) !== 1) return false;
    this.#remember(id, reason);
    await this.#options.index.strike(id);
    this.#options.tell(id, reason);
    return true;
  }

  /** Sees to what an end needs that a transition brought about. */
  async settle(id: string, reason: EndReason): Promise<void> {
    // For this process the family is over, whatever becomes of the rest.
    this.#options.tell(id, reason);
    this.#remember(id, reason);
    await Promise.all([this.#write(id, reason).catch(() => undefined), this.#options.index.strike(id)]);
  }

  /** Ends a family that ran out. @returns why, or what it is otherwise: `dead`, or empty while it lives. */
  async expire(id: string, idleMs: number): Promise<string> {
    const { index } = this.#options;
    const reply = (await this.run('expire', id, [idleMs])) as Buffer[] | null;
    const [over = 'dead', seen, ends] = reply?.map(String) ?? [];
    if (over === 'dead') await index.strike(id);
    else if (over !== '') await this.settle(id, over as EndReason);
    // Looked at again when it would be idle at the earliest, and at its end at the latest.
    else await index.heard(id, Math.min(Number(seen), Number(ends) - idleMs));
    return over;
  }

  /** Ends the longest unused of a person's families beyond the limit; the new one stays. */
  async evict(newId: string, ids: readonly string[], perPerson: number): Promise<void> {
    const answers = await this.each(
      ids.filter((id) => id !== newId),
      (id) => this.show(id),
    );
    const live = answers.flatMap((answer) =>
      answer?.family.state.status === 'active' ? [answer.family] : [],
    );
    const unused = live.toSorted((one, other) => other.state.seenMs - one.state.seenMs).slice(perPerson - 1);
    const unusedIds = unused.map(({ id }) => id);
    await this.each(unusedIds, (id) => this.end(id, 'evicted'));
  }

  /** Works on many families, so many side by side that round trips overlap and no request waits behind all. */
  async each<T>(ids: readonly string[], work: (id: string) => Promise<T>): Promise<T[]> {
    const results: T[] = [];
    for (let from = 0; from < ids.length; from += WIDTH) {
      results.push(...(await Promise.all(ids.slice(from, from + WIDTH).map(work))));
    }
    return results;
  }

  #head(operation: string, id: string): Parameter[] {
    return [operation, this.override, PUSH_CHANNEL, this.#options.node, id];
  }

  /** Has it ended again after a failover. */
  #remember(id: string, reason: EndReason): void {
    this.#options.log.addLasting(() => this.#write(id, reason, true));
  }

  #write(id: string, reason: EndReason, isReplay = false): Promise<unknown> {
    const { connection, scripts } = this.#options;
    const parameters = [...this.#head('end', id), reason];
    return connection.runEnd(scripts.family, [familyKey(id)], parameters, isReplay);
  }
}
