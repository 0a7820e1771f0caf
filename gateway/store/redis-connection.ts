import { randomUUID } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { GatewayError } from '../core/gateway-error.ts';
import { LOADING_KEY, recordsKey } from './redis-keys.ts';
import { EPOCH_RECORD } from './record-store.ts';
import type { RedisScript } from './redis-script.ts';

/** Where the Redis (or Valkey, 7 or later) is. Hosts are `host:port`. */
export type RedisPlace = (
  | { readonly kind: 'single'; readonly url: string }
  | { readonly kind: 'sentinel'; readonly sentinels: readonly string[]; readonly name: string }
  | { readonly kind: 'cluster'; readonly nodes: readonly string[] }
) & { readonly username?: string | undefined; readonly password?: string | undefined };

/** How long a request waits for the store, in ms, before it is answered 503. */
export const COMMAND_TIMEOUT_MS = 1000;
/** A connection on which nothing comes back for so long is given up; heartbeats go over it all the time. */
const SILENCE_MS = 3000;
const CONNECT_TIMEOUT_MS = 2000;
/** How long an end waits for a replica to have it, in ms. */
const REPLICA_WAIT_MS = 100;
const CLUSTER_SLOTS = 16_384;
const HALF_RESTORED = 'it holds half of a restore that did not come to its end: run the restore again';

/**
 * The connections of one gateway process to its Redis. Commands are never queued while the connection is away and
 * never sent twice: whoever asks is told at once, or after {@link COMMAND_TIMEOUT_MS}.
 */
export class RedisConnection {
  /** For commands; shared with the counters of limits. */
  readonly client: Redis | Cluster;
  /** Ends wait here for a replica, so that nothing else waits behind them. */
  readonly #ends: Redis | Cluster;
  readonly #place: RedisPlace;
  readonly #onUnreplicated: () => void;
  /** How many replicas each primary has, by its address. */
  #replicas: ReadonlyMap<string, number> = new Map();
  #isClosed = false;

  /** @param onUnreplicated told of every end that no replica had in time. */
  constructor(place: RedisPlace, onUnreplicated: () => void = () => undefined) {
    this.#place = place;
    this.#onUnreplicated = onUnreplicated;
    this.client = makeClient(place);
    this.#ends = place.kind === 'cluster' ? this.client : makeClient(place);
    for (const client of new Set([this.client, this.#ends])) {
      // Failures reach whoever asked; without a listener they would end the process.
      client.on('error', () => undefined);
      // A client may give up in the middle of a failover; the gateway never does.
      client.on('end', () => {
        if (!this.#isClosed) setTimeout(() => void client.connect().catch(() => undefined), 500).unref();
      });
    }
  }

  /**
   * Connects.
   *
   * @param toLoad whether to go on where a restore did not come to its end.
   * @throws GatewayError `store_unavailable` when nothing answers in ten seconds, or where half of a restore is.
   */
  async open(toLoad = false): Promise<void> {
    const clients = new Set([this.client, this.#ends]);
    const late = AbortSignal.timeout(10_000);
    await Promise.all(
      [...clients].map(async (client) => {
        const failed = new Promise<never>((_, reject) => {
          late.addEventListener('abort', () => reject(unavailable(new Error('nothing answers'))), {
            once: true,
          });
        });
        const ready = new Promise<void>((resolve) => client.once('ready', () => resolve()));
        // A refused first connection is tried again by the client itself; only the deadline gives up.
        client.connect().catch(() => undefined);
        await Promise.race([ready, failed]);
      }),
    );
    if (!toLoad && (await this.isLoading())) throw unavailable(new Error(HALF_RESTORED));
  }

  /** Whether a restore into this store did not come to its end. @throws the client's error. */
  async isLoading(): Promise<boolean> {
    return (await this.client.exists(LOADING_KEY)) === 1;
  }

  /** Runs a script as one atomic step. All keys must share a slot. */
  run(script: RedisScript, keys: readonly string[], parameters: readonly Parameter[]): Promise<unknown> {
    return runOn(this.client, script, keys, parameters);
  }

  /**
   * Runs a script that ends something and waits until a replica has it, if its primary has one. A replica that does
   * not answer in time does not hold the end up: the replay after a failover covers it.
   *
   * @param isReplay whether this is that replay, which waits for nobody: a new primary has no replica yet.
   */
  async runEnd(
    script: RedisScript,
    keys: readonly string[],
    parameters: readonly Parameter[],
    isReplay = false,
  ): Promise<unknown> {
    if (isReplay) return await this.run(script, keys, parameters);
    const result = await runOn(this.#ends, script, keys, parameters);
    const waiting = await this.#waitFor(keys[0] ?? '').catch(() => 0);
    if (waiting === 0) this.#onUnreplicated();
    return result;
  }

  /** The primaries by their address; one unless this is a cluster. */
  primaries(): Map<string, Redis> {
    const nodes = this.client instanceof Redis ? [this.client] : this.client.nodes('master');
    return new Map(nodes.map((node) => [addressOf(node), node]));
  }

  /** A connection of its own for subscriptions. In a cluster one node hears what is published on all. */
  subscriber(): Redis | undefined {
    if (this.#place.kind !== 'cluster') return makeSingle(this.#place);
    const [node] = this.primaries().values();
    if (node === undefined) return undefined;
    const { host, port } = node.options;
    return new Redis({ ...commonOptions(this.#place), host, port, retryStrategy: null, lazyConnect: true });
  }

  /**
   * Asks every primary who it is and how many replicas it has.
   *
   * @returns what tells these servers' data from those of another start, and the clock of one of them.
   * @throws Error when one does not answer, and when not every slot of a Cluster has a primary, as in the middle of a
   *   failover: what was found out about the others says nothing of what that one held.
   */
  async inspect(): Promise<{ runIds: string; nowMs: number }> {
    this.#refuseParted();
    const runIds: string[] = [];
    const replicas = new Map<string, number>();
    let nowMs = 0;
    for (const [address, node] of this.primaries()) {
      const [info, time] = await Promise.all([node.info(), node.time()]);
      if (node !== this.client && info.includes('role:slave')) this.#refuseParted(address);
      runIds.push(/run_id:(\w+)/.exec(info)?.[1] ?? '');
      replicas.set(address, Number(/connected_slaves:(\d+)/.exec(info)?.[1] ?? 0));
      nowMs = Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000);
    }
    this.#replicas = replicas;
    return { runIds: runIds.toSorted((one, other) => one.localeCompare(other)).join(' '), nowMs };
  }

  /** What tells one restore into this store from another; empty when there was none. @throws Error within half of one. */
  async restoreMark(): Promise<string> {
    if (await this.isLoading()) throw new Error(HALF_RESTORED);
    const record = await this.client.hgetBuffer(recordsKey(EPOCH_RECORD.kind), EPOCH_RECORD.id);
    return record?.toString('base64') ?? '';
  }

  close(): void {
    this.#isClosed = true;
    this.client.disconnect();
    this.#ends.disconnect();
  }

  /** @returns how many replicas have it; `undefined` where there is none. */
  async #waitFor(key: string): Promise<number | undefined> {
    if ([...this.#replicas.values()].every((count) => count === 0)) return undefined;
    if (this.#ends instanceof Redis) return await this.#ends.wait(1, REPLICA_WAIT_MS);
    const slot = await this.#ends.cluster('KEYSLOT', key);
    const address = this.#ends.slots[slot]?.[0] ?? '';
    if (this.#replicas.get(address) === 0) return undefined;
    return (await this.primaries().get(address)?.wait(1, REPLICA_WAIT_MS)) ?? 0;
  }

  /** @param demoted the address of a server that says it is no primary any more. */
  #refuseParted(demoted?: string): void {
    if (this.client instanceof Redis) return;
    const parted = demoted ?? absentOwner(this.client, this.primaries());
    if (parted === undefined) return;
    // Nothing is asked by key meanwhile, so no answer would tell the client who the new primary is.
    this.client.refreshSlotsCache();
    throw new Error(`${parted} is away and nobody took its place yet`);
  }
}

/** The first primary of a Cluster that owns slots and has no connection, if there is one. */
function absentOwner({ slots }: Cluster, primaries: ReadonlyMap<string, Redis>): string | undefined {
  for (let slot = 0; slot < CLUSTER_SLOTS; slot += 1) {
    const owner = slots[slot]?.[0];
    if (owner === undefined || !primaries.has(owner)) return owner ?? `the owner of slot ${slot}`;
  }
  return undefined;
}

/** What a script takes beside keys. */
export type Parameter = string | number | Uint8Array;

/** EVALSHA, or EVAL when the server does not know the script (any more): after a restart, a failover, SCRIPT FLUSH. */
async function runOn(
  client: Redis | Cluster,
  script: RedisScript,
  keys: readonly string[],
  parameters: readonly Parameter[],
): Promise<unknown> {
  const question = randomUUID();
  const rest = [...keys, ...parameters.map(plain), question];
  try {
    return resultOf(client, question, await client.callBuffer('evalsha', script.sha, keys.length, ...rest));
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw unavailable(error);
  }
  try {
    return resultOf(client, question, await client.callBuffer('eval', script.text, keys.length, ...rest));
  } catch (error) {
    throw unavailable(error);
  }
}

/**
 * The result of a script, if this is the answer to this very question. A client that lost count of the answers on
 * its connection would hand one person's session to another: such a connection is broken at once.
 *
 * @throws GatewayError `store_unavailable` otherwise.
 */
function resultOf(client: Redis | Cluster, question: string, reply: unknown): unknown {
  if (Array.isArray(reply) && reply.length === 2) {
    const [echo, result] = reply as [unknown, unknown];
    if (Buffer.isBuffer(echo) && echo.equals(Buffer.from(question))) return result;
  }
  client.disconnect(true);
  throw unavailable(new Error('an answer came to another question; the connection is made anew'));
}

function plain(parameter: Parameter): string | number | Buffer {
  return parameter instanceof Uint8Array ? Buffer.from(parameter) : parameter;
}

/** The one failure that a store has. The message is for the operator's log. */
export function unavailable(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new GatewayError('store_unavailable', `the session store failed: ${why}`, {
    cause: error,
    retryAfterSeconds: 1,
  });
}

function makeClient(place: RedisPlace): Redis | Cluster {
  if (place.kind !== 'cluster') return makeSingle(place);
  const options: ClusterOptions = {
    lazyConnect: true,
    enableOfflineQueue: false,
    slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
    slotsRefreshInterval: 5000,
    retryDelayOnClusterDown: 100,
    retryDelayOnFailover: 100,
    clusterRetryStrategy: patience,
    redisOptions: commonOptions(place),
  };
  return new Cluster(place.nodes.map(hostAndPort), options);
}

function makeSingle(place: RedisPlace & { kind: 'single' | 'sentinel' }): Redis {
  const options: RedisOptions = {
    ...commonOptions(place),
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy: patience,
    sentinelRetryStrategy: patience,
    // A primary that was demoted still answers: leave it.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  };
  if (place.kind === 'single') return new Redis(place.url, options);
  return new Redis({ ...options, sentinels: place.sentinels.map(hostAndPort), name: place.name });
}

function commonOptions({ username, password }: RedisPlace): RedisOptions {
  return {
    // RESP2 is spoken by every server and proxy; nothing here needs more.
    protocol: 2,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MS,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

/** Time until the next try to connect, in ms: soon at first, then twice a second. */
function patience(tries: number): number {
  return Math.min(20 * 2 ** Math.min(tries, 5), 500);
}

function hostAndPort(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

function addressOf(node: Redis): string {
  return `${node.options.host ?? ''}:${node.options.port ?? ''}`;
}
