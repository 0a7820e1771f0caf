import { join } from 'node:path';
import type { Environment } from '../config/environment.ts';
import { readSecret } from '../config/read-secret.ts';
import type { SecretReference } from '../config/secret-reference.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { type EmbeddedCounts, openEmbeddedCounts } from './embedded-counts.ts';
import { refuseUnfinishedLoad } from './embedded-load.ts';
import { openEmbeddedKeys } from './embedded-keys.ts';
import { openEmbeddedRecords } from './embedded-records.ts';
import { openEmbeddedStore } from './embedded-store.ts';
import type { KeyStore } from './key-store.ts';
import type { RedisConnection, RedisPlace } from './redis-connection.ts';
import type { RecordStore } from './record-store.ts';
import type { FamilyTransitions, SessionStore } from './session-store.ts';

/** Which store a gateway uses; the policy's `store` section, compiled. */
export type StoreChoice =
  | { readonly kind: 'embedded' }
  | {
      readonly kind: 'redis';
      readonly place: RedisPlace;
      /** Where the password is; never the password itself. */
      readonly password: SecretReference | undefined;
    };

/** What a store is opened with. */
export interface StoreOptions {
  readonly choice: StoreChoice;
  /** The data directory, in which the embedded store has its file. */
  readonly data: string;
  readonly environment: Environment;
  readonly transitions: FamilyTransitions;
  readonly clock: Clock;
  /** Told of every end of a session that no replica of the store had in time, though there are replicas. */
  readonly onUnreplicated: () => void;
}

/** An opened store, and the connection that counters of limits share with it where there is one. */
export interface OpenedStore {
  readonly store: SessionStore;
  readonly connection: RedisConnection | undefined;
  readonly keys: KeyStore;
  readonly records: RecordStore;
  /** Counts of limits on this machine, where no connection shares them. */
  readonly counts: EmbeddedCounts | undefined;
  /** Closes all of them. */
  close(): Promise<void>;
}

/**
 * Opens the store that the policy names.
 *
 * @throws GatewayError `store_unavailable` when it cannot be used, `internal` when its password cannot be read.
 */
export async function openStore(options: StoreOptions): Promise<OpenedStore> {
  const { choice, data, environment, transitions, clock } = options;
  if (choice.kind === 'embedded') {
    refuseUnfinishedLoad(data);
    const store = openEmbeddedStore(join(data, 'sessions.db'), transitions, clock);
    const keys = openEmbeddedKeys(join(data, 'keys.db'));
    const records = openEmbeddedRecords(join(data, 'records.db'));
    const counts = openEmbeddedCounts(join(data, 'limits.db'), clock);
    const close = async (): Promise<void> => {
      counts.close();
      records.close();
      keys.close();
      await store.close();
    };
    return { store, connection: undefined, keys, records, counts, close };
  }
  const place = placeOf(choice, environment);
  // Loaded here only: a gateway with the embedded store need not carry a Redis client in its memory.
  const { openRedisStore } = await import('./redis-store.ts');
  const store = await openRedisStore({
    place,
    onUnreplicated: options.onUnreplicated,
  });
  const { connection, keys, records } = store;
  return { store, connection, keys, records, counts: undefined, close: () => store.close() };
}

/** Where a Redis is, with its password. @throws GatewayError `internal` when that cannot be read. */
export function placeOf(choice: StoreChoice & { kind: 'redis' }, environment: Environment): RedisPlace {
  const password = choice.password === undefined ? undefined : passwordOf(choice.password, environment);
  return { ...choice.place, password };
}

function passwordOf(reference: SecretReference, environment: Environment): string {
  const reading = readSecret(reference, environment);
  if ('value' in reading) return reading.value;
  throw new GatewayError('internal', `store.password: ${reading.problem}`);
}
