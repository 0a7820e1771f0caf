import { unavailable } from './redis-connection.ts';
import type { RedisConnection } from './redis-connection.ts';
import type { FamilyAnswer } from './redis-family.ts';
import { personKeys } from './redis-keys.ts';
import type { readScripts } from './redis-script.ts';
import type { EndReason } from './session-store.ts';

/** Life of an epoch, in ms: longer than any family that counts from it, since no cookie lives longer. */
const EPOCH_LIFE_MS = 400 * 86_400_000;

/** A person's epoch and the families in their index, which may hold more than live. */
interface PersonView {
  readonly epoch: number;
  readonly ids: string[];
}

/**
 * What ends all sessions of a person at once: a number that every family of theirs remembers from its beginning.
 * One increment makes all of them dead, also those that the index lacks.
 */
export class RedisPersons {
  readonly #connection: RedisConnection;
  readonly #scripts: ReturnType<typeof readScripts>;

  constructor(connection: RedisConnection, scripts: ReturnType<typeof readScripts>) {
    this.#connection = connection;
    this.#scripts = scripts;
  }

  /** Enters a family that is about to begin. @returns the epoch that it counts from. */
  async join(person: string, id: string, endsMs: number, nowMs: number): Promise<PersonView> {
    const parameters = [id, endsMs, nowMs, EPOCH_LIFE_MS];
    return viewOf(await this.#connection.run(this.#scripts.join, personKeys(person), parameters));
  }

  /** Ends all but one. `least` is for a replay: the epoch that this very end brought about. */
  async end(person: string, reason: EndReason, exceptId: string, least = 0): Promise<PersonView> {
    const parameters = [reason, exceptId, EPOCH_LIFE_MS, least];
    const { endPerson } = this.#scripts;
    return viewOf(await this.#connection.runEnd(endPerson, personKeys(person), parameters, least > 0));
  }

  async families(person: string): Promise<string[]> {
    try {
      return await this.#connection.client.zrange(personKeys(person)[1], '0', '-1');
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** Why a family is over although its own record lives: its person's sessions were ended since it began. */
  async outdated({ family, epoch }: FamilyAnswer): Promise<EndReason | undefined> {
    if (family.person === undefined) return undefined;
    const [n, reason, except, since] = await this.#read(family.person);
    if (Number(n ?? 0) <= epoch) return undefined;
    if (except === family.id && epoch >= Number(since) - 1) return undefined;
    return (reason ?? 'revoked') as EndReason;
  }

  async #read(person: string): Promise<(string | undefined)[]> {
    const reply = await this.#connection.run(this.#scripts.epoch, [personKeys(person)[0]], []);
    return (reply as (Buffer | null)[]).map((cell) => cell?.toString());
  }
}

function viewOf(reply: unknown): PersonView {
  const [epoch, ...ids] = (reply as Buffer[]).map(String);
  return { epoch: Number(epoch), ids };
}
