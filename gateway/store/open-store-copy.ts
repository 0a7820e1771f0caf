import type { Environment } from '../config/environment.ts';
import { openEmbeddedCopy } from './embedded-copy.ts';
import { openEmbeddedLoad, refuseUnfinishedLoad } from './embedded-load.ts';
import { placeOf, type StoreChoice } from './open-store.ts';
import type { StoreCopy, StoreLoad } from './store-copy.ts';

/** Which store, and where. */
export interface StorePlace {
  readonly choice: StoreChoice;
  /** The data directory, in which the embedded store has its files. */
  readonly data: string;
  readonly environment: Environment;
}

/** Opens a store for a backup. @throws GatewayError as `openStore`. */
export async function openStoreCopy({ choice, data, environment }: StorePlace): Promise<StoreCopy> {
  if (choice.kind === 'embedded') return openEmbeddedCopy(data);
  const place = placeOf(choice, environment);
  const { openRedisCopy } = await import('./redis-copy.ts');
  return await openRedisCopy(place);
}

/** Opens a store for a restore. @throws GatewayError as `openStore`. */
export async function openStoreLoad({ choice, data, environment }: StorePlace): Promise<StoreLoad> {
  if (choice.kind === 'embedded') return openEmbeddedLoad(data);
  const place = placeOf(choice, environment);
  const { openRedisLoad } = await import('./redis-load.ts');
  return await openRedisLoad(place);
}

/**
 * Refuses a store in which a restore did not come to its end, before anything is made for a gateway on it.
 *
 * @throws GatewayError as `openStore`.
 */
export async function refuseHalfRestored(place: StorePlace): Promise<void> {
  if (place.choice.kind === 'embedded') refuseUnfinishedLoad(place.data);
  else await (await openStoreCopy(place)).close();
}
