import { test } from 'tap';

import { openRedisCopy } from '../../gateway/store/redis-copy.ts';
import { openRedisLoad } from '../../gateway/store/redis-load.ts';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { startCluster, startSingle } from '../support/redis-servers.ts';
import { storeCopyContract } from './copy-contract.ts';

for (const [name, start] of [
  ['alone', startSingle],
  ['as a Cluster', startCluster],
] as const) {
  await test(`a copy of a Redis ${name}`, async (t) => {
    const { place, servers, stop } = await start();
    t.teardown(stop);
    await servers[0]?.command('SET', '{zasov:1:}', 'somebody else has keys here too').catch(() => undefined);
    await storeCopyContract(t, {
      copy: () => openRedisCopy(place),
      load: () => openRedisLoad(place),
      serve: () => openRedisStore({ place }),
    });
    if (servers.length === 1)
      t.equal(await servers[0]?.command('GET', '{zasov:1:}'), 'somebody else has keys here too');
  });
}
