import { randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { COMMAND_TIMEOUT_MS, RedisConnection, unavailable } from './redis-connection.ts';
import type { RedisPlace } from './redis-connection.ts';
import { RedisFailover } from './redis-failover.ts';
import { RedisFamilies } from './redis-families.ts';
import { endedFamily, familyFields, limitFields, readAnswer } from './redis-family.ts';
import type { FamilyAnswer } from './redis-family.ts';
import { RedisFamilyIndex } from './redis-family-index.ts';
import { SWEEP_KEY, familyKey } from './redis-keys.ts';
import { RedisKeyStore } from './redis-key-store.ts';
import { RedisPersons } from './redis-persons.ts';
import { RedisRecordStore } from './redis-record-store.ts';
import type { RecordKind } from './record-store.ts';
import { RedisPush } from './redis-push.ts';
import { readScripts } from './redis-script.ts';
import type {
  EndListener,
  EndReason,
  FamilyLimits,
  FamilyState,
  IssueOutcome,
  SessionStore,
  StaleListener,
  StoredFamily,
  UseOutcome,
} from './session-store.ts';

/** How often a store is swept, by whichever node comes first, in ms. */
const SWEEP_EVERY_MS = 10_000;

/** What a Redis store is opened with. */
export interface RedisStoreOptions {
  readonly place: RedisPlace;
  /** Stands in for the server's clock. For tests, which move time by hand; never given by the gateway. */
  readonly testClock?: Clock;
  /** Told of every end that no replica had in time, though there are replicas. */
  readonly onUnreplicated?: () => void;
}

/**
 * Opens the store that several gateways share: Redis or Valkey 7 and later, alone, behind Sentinel or as a Cluster.
 * Every transition is one script on one key. Times are the server's. What other nodes do arrives by push; see
 * {@link SessionStore.push}. An end is reported once a replica has it, or after 100 ms.
 *
 * @throws GatewayError `store_unavailable` when nothing answers in ten seconds.
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<RedisStore> {
  const { place, testClock, onUnreplicated } = options;
  const connection = new RedisConnection(place, onUnreplicated);
  try {
    await connection.open();
    const store = new RedisStore(connection, testClock);
    await store.start();
    return store;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** See {@link openRedisStore}. */
export class RedisStore implements SessionStore {
  readonly connection: RedisConnection;
  readonly push: NonNullable<SessionStore['push']>;
  /** The API keys beside the sessions. */
  readonly keys: RedisKeyStore;
  /** The gateway's own state beside them. */
  readonly records: RedisRecordStore;
  readonly #clock: Clock | undefined;
  readonly #node = randomUUID();
  readonly #scripts = readScripts();
  readonly #index: RedisFamilyIndex;
  readonly #persons: RedisPersons;
  readonly #families: RedisFamilies;
  readonly #failover: RedisFailover;
  readonly #listeners = new Set<EndListener>();
  readonly #staleListeners = new Set<StaleListener>();
  #push: RedisPush | undefined;

  constructor(connection: RedisConnection, clock: Clock | undefined) {
    this.connection = connection;
    this.#clock = clock;
    this.#index = new RedisFamilyIndex(connection, this.#scripts);
    this.#persons = new RedisPersons(connection, this.#scripts);
    this.#failover = new RedisFailover(connection, Object.values(this.#scripts));
    this.#families = new RedisFamilies({
      connection,
      scripts: this.#scripts,
      index: this.#index,
      log: this.#failover.log,
      node: this.#node,
      testClock: clock,
      tell: (id, reason) => this.#tell(id, reason, false),
    });
    const isPushAlive = () => this.#push?.isAlive() === true && this.#failover.isOpen;
    const shared = { connection, failover: this.#failover, scripts: this.#scripts, node: this.#node };
    this.keys = new RedisKeyStore({ ...shared, isPushAlive });
    this.records = new RedisRecordStore({ ...shared, isPushAlive });
    this.push = {
      isAlive: isPushAlive,
      onStale: (listener) => {
        this.#staleListeners.add(listener);
        return () => this.#staleListeners.delete(listener);
      },
    };
  }

  /** Begins to listen; called once, before anything else. */
  async start(): Promise<void> {
    await this.#failover.start();
    this.#push = new RedisPush(this.connection, this.#node, {
      ended: (id, reason) => this.#tell(id, reason as EndReason, true),
      stale: (id) => this.#tellStale(id),
      keyChanged: (lineage) => this.keys.tell(lineage),
      recordChanged: (kind) => this.records.tell(kind as RecordKind),
      resumed: () => {
        this.#tellStale(undefined);
        this.keys.tell(undefined);
        this.records.tell(undefined);
      },
    });
  }

  async create(family: StoredFamily, perPerson: number): Promise<void> {
    await this.#failover.gate();
    const nowMs = this.#now();
    const { id, person, state } = family;
    const { epoch, ids } =
      person === undefined
        ? { epoch: 0, ids: [] }
        : await this.#persons.join(person, id, state.endsMs, nowMs);
    const put = async (): Promise<void> => {
      const fields = [...familyFields(family), 'epoch', epoch];
      const parameters = [this.#families.override, state.endsMs, ...fields];
      await Promise.all([
        this.connection.run(this.#scripts.create, [familyKey(id)], parameters),
        this.#index.enrol(family, nowMs),
      ]);
    };
    await put();
    this.#failover.log.add(async () => {
      await put();
      if (person !== undefined) await this.#persons.join(person, id, state.endsMs, nowMs);
    });
    if (person !== undefined && ids.length > perPerson) await this.#families.evict(id, ids, perPerson);
  }

  async use(
    id: string,
    hash: string,
    passive: boolean,
    limits: FamilyLimits,
    issuedMs = 0,
  ): Promise<{ outcome: UseOutcome; family: StoredFamily } | undefined> {
    await this.#failover.gate();
    const adoptBeforeMs = this.#failover.adoptBefore(issuedMs);
    const deadlineMs = this.#now() + Math.max(COMMAND_TIMEOUT_MS, limits.graceMs / 2);
    const parameters = [hash, passive ? 1 : 0, ...limitFields(limits, adoptBeforeMs), deadlineMs];
    const answer = readAnswer(id, await this.#families.run('use', id, parameters));
    if (answer === undefined) {
      this.#failover.refuseIfLost(issuedMs);
      return undefined;
    }
    if (answer.outcome === 'late') throw unavailable(new Error('the question reached the server too late'));
    const outcome = answer.outcome as UseOutcome;
    const { state } = answer.family;
    if (state.status === 'dead') {
      if (outcome !== 'dead' && state.reason !== '') await this.#families.settle(id, state.reason);
      return { outcome, family: answer.family };
    }
    const reason = await this.#persons.outdated(answer);
    if (reason !== undefined) return await this.#endOutdated(answer, reason);
    if (outcome === 'ok_confirm' || outcome === 'ok_sibling') {
      const { seenMs, confirmedMs, generation } = state;
      const atMs = outcome === 'ok_confirm' ? confirmedMs : seenMs;
      this.#failover.log.add(() =>
        this.#families.run('reconfirm', id, [hash, atMs, generation, limits.graceMs]),
      );
    }
    return { outcome, family: answer.family };
  }

  async issue(
    id: string,
    hash: string,
    childHash: string,
    limits: FamilyLimits,
  ): Promise<{ outcome: IssueOutcome; state: FamilyState } | undefined> {
    await this.#failover.gate();
    const answer = readAnswer(
      id,
      await this.#families.run('issue', id, [hash, childHash, ...limitFields(limits, 0)]),
    );
    if (answer === undefined) return undefined;
    const { outcome, family } = answer;
    if (outcome === 'stubborn') await this.#families.settle(id, 'stubborn');
    if (outcome === 'set') {
      const issuedMs = family.state.candidates.find(([child]) => child === childHash)?.[1] ?? 0;
      const { generation } = family.state;
      this.#failover.log.add(() =>
        this.#families.run('reissue', id, [hash, issuedMs, generation, limits.graceMs, childHash]),
      );
    }
    return { outcome: outcome as IssueOutcome, state: family.state };
  }

  async replaceJar(id: string, jar: Uint8Array, expectedVersion: number): Promise<boolean> {
    await this.#failover.gate();
    const isReplaced = (await this.#families.run('jar', id, [jar, expectedVersion])) === 1;
    if (isReplaced) this.#failover.log.add(() => this.#families.run('rejar', id, [jar, expectedVersion + 1]));
    return isReplaced;
  }

  async end(id: string, reason: EndReason): Promise<boolean> {
    await this.#failover.gate();
    return await this.#families.end(id, reason);
  }

  async endPerson(person: string, reason: EndReason, exceptId = ''): Promise<number> {
    await this.#failover.gate();
    const { epoch, ids } = await this.#persons.end(person, reason, exceptId);
    this.#failover.log.addLasting(() => this.#persons.end(person, reason, exceptId, epoch));
    // From here on all are dead. What follows tells every node, so that streams close at once.
    const ended = await this.#families.each(ids, async (id) => {
      if (id !== exceptId) return await this.#families.end(id, reason);
      await this.#families.run('raise', id, [epoch]);
      return false;
    });
    return ended.filter(Boolean).length;
  }

  async touch(id: string, seenMs: number): Promise<void> {
    await this.#failover.gate();
    await this.#families.run('touch', id, [seenMs]);
  }

  async expire(id: string, { idleMs }: FamilyLimits): Promise<void> {
    await this.#failover.gate();
    await this.#families.expire(id, idleMs);
  }

  async list(person?: string): Promise<StoredFamily[]> {
    await this.#failover.gate();
    const ids = person === undefined ? await this.#index.all() : await this.#persons.families(person);
    const nowMs = this.#now();
    const answers = await this.#families.each(ids, (id) => this.#families.show(id));
    const live: StoredFamily[] = [];
    for (const answer of answers) {
      if (answer?.family.state.status !== 'active' || answer.family.state.endsMs <= nowMs) continue;
      if ((await this.#persons.outdated(answer)) === undefined) live.push(answer.family);
    }
    return live.toSorted((one, other) => other.createdMs - one.createdMs);
  }

  async count(): Promise<number> {
    await this.#failover.gate();
    return await this.#index.count(this.#now());
  }

  async sweep(idleMs: number): Promise<number> {
    await this.#failover.gate();
    if (!(await this.#failover.takeTurn(SWEEP_KEY, SWEEP_EVERY_MS))) return 0;
    const nowMs = this.#now();
    const found = await this.#families.each(await this.#index.due(nowMs, nowMs - idleMs), (id) =>
      this.#families.expire(id, idleMs),
    );
    return found.filter((reason) => reason === 'lifetime').length;
  }

  onEnd(listener: EndListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    this.#staleListeners.clear();
    this.#failover.close();
    this.#push?.close();
    this.connection.close();
  }

  #now(): number {
    return this.#clock?.now() ?? this.#failover.serverNow();
  }

  async #endOutdated({ family }: FamilyAnswer, reason: EndReason) {
    await this.#families.end(family.id, reason);
    return { outcome: 'dead' as const, family: endedFamily(family, reason) };
  }

  #tell(id: string, reason: EndReason, isElsewhere: boolean): void {
    for (const listener of this.#listeners) listener(id, reason, isElsewhere);
  }

  #tellStale(id: string | undefined): void {
    for (const listener of this.#staleListeners) listener(id);
  }
}
