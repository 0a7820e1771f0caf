import tap from 'tap';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { startCluster } from '../support/redis-servers.ts';
import { sessionStoreContract } from './contract.ts';

const { place, servers, stop } = await startCluster();
tap.teardown(stop);

sessionStoreContract(async (clock) => {
  await Promise.all(servers.map((server) => server.command('FLUSHALL')));
  return await openRedisStore({ place, testClock: clock });
});
