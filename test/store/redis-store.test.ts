import tap from 'tap';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { startSingle } from '../support/redis-servers.ts';
import { sessionStoreContract } from './contract.ts';

const { place, servers, stop } = await startSingle();
tap.teardown(stop);

sessionStoreContract(async (clock) => {
  await servers[0]?.command('FLUSHALL');
  return await openRedisStore({ place, testClock: clock });
});
