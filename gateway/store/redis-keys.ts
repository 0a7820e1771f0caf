/** Goes up when a key's meaning changes so that an older gateway could not work with it; see README.md. */
export const PREFIX = 'zasov:1:';
/** Parts of the index of all families; each may lie on another server of a cluster. */
export const SHARDS = 16;

/** The channel on which every end and every change of a family is told. */
export const PUSH_CHANNEL = `${PREFIX}push`;
/** Where counters of limits are kept; see gateway/rate-limit/. */
export const LIMIT_PREFIX = `${PREFIX}limit`;
/** Held by the node that swept last. */
export const SWEEP_KEY = `${PREFIX}sweep`;

/** There while a store is being filled from a backup: no gateway starts on it. */
export const LOADING_KEY = `${PREFIX}loading`;

/** Whether a key comes and goes by itself, and says nothing of what a store holds. */
export function isPassing(key: string): boolean {
  return key === SWEEP_KEY || key.startsWith(LIMIT_PREFIX) || key.startsWith(`${PREFIX}tls:`);
}

/** The channel on which a node hears its own heartbeat. */
export function beatChannel(node: string): string {
  return `${PREFIX}beat:${node}`;
}

/** The sealed secret behind the session tickets of a slot of time; see gateway/tls/ticket-secrets.ts. */
export function ticketKey(slot: number): string {
  return `${PREFIX}tls:tickets:{${slot}}`;
}

/** The one key of a family. The braces decide its slot in a cluster, also for what may join it there later. */
export function familyKey(id: string): string {
  return `${PREFIX}{${id}}`;
}

/** A person's keys, which share a slot: the epoch that ends all, and the index of families. */
export function personKeys(person: string): [epoch: string, families: string] {
  return [`${PREFIX}person:{${person}}:epoch`, `${PREFIX}person:{${person}}:families`];
}

/** The one key of an API key, and beside it its last use. */
export function apiKeyKey(lineage: string): string {
  return `${PREFIX}key:{${lineage}}`;
}

export function apiKeyUseKey(lineage: string): string {
  return `${PREFIX}key:{${lineage}}:use`;
}

/** The API keys of a person. */
export function apiKeyPersonKey(person: string): string {
  return `${PREFIX}keys:person:{${person}}`;
}

/** One shard of the index of all API keys, by the time at which something is to be done about them. */
export function apiKeyDueKey(shard: number): string {
  return `${PREFIX}keys:{${shard}}:due`;
}

/** One shard of the index of all API keys by the server's time at which they were changed last, in ms. */
export function apiKeyChangedKey(shard: number): string {
  return `${PREFIX}keys:{${shard}}:changed`;
}

/** All records of a kind: administrators, proposals, conditions of regions, leases. */
export function recordsKey(kind: string): string {
  return `${PREFIX}record:{${kind}}`;
}

/** One shard of the index of all families: signed-in and anonymous by their end, and all by their last activity. */
export interface ShardKeys {
  readonly signedIn: string;
  readonly anonymous: string;
  readonly quiet: string;
}

/** The keys of a shard, which share a slot. */
export function shardKeys(shard: number): ShardKeys {
  const tag = `${PREFIX}index:{${shard}}:`;
  return { signedIn: `${tag}signed-in`, anonymous: `${tag}anonymous`, quiet: `${tag}quiet` };
}

/** The shard of a family. Ids are hashes, so any sum spreads them. */
export function shardOf(id: string): number {
  let sum = 0;
  for (let place = 0; place < id.length; place += 1) sum += id.charCodeAt(place) * (place + 1);
  return sum % SHARDS;
}
