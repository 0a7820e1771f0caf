import tap from 'tap';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { startSentinels } from '../support/redis-servers.ts';
import { sessionStoreContract } from './contract.ts';

const { place, servers, stop } = await startSentinels();
tap.teardown(stop);

sessionStoreContract(async (clock) => {
  await servers[0]?.command('FLUSHALL');
  return await openRedisStore({ place, testClock: clock });
});
