import { test } from 'tap';

import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { startSentinels } from '../support/redis-servers.ts';
import { keyStoreContract } from './key-contract.ts';
import { loseLast, onEveryRedis } from './redis-groups.ts';

await onEveryRedis('the keys', (t, store, second) =>
  keyStoreContract(t, store.keys, async () => second.keys),
);

await test('a key that was revoked in the seconds that a failover lost stays so, and one that was issued is found', async (t) => {
  const group = await startSentinels();
  const store = await openRedisStore({ place: group.place });
  t.teardown(async () => {
    await store.close();
    await group.stop();
  });
  const key = { lineage: 'AAAAAAAAAAAA', person: 'vera', dueMs: 1, body: Buffer.from('alive') };
  t.equal(await store.keys.write({ ...key, version: 1 }), true);
  const read = await loseLast(
    group,
    async () => {
      t.equal(await store.keys.write({ ...key, version: 2, body: Buffer.from('revoked') }), true);
      t.equal(await store.keys.write({ ...key, lineage: 'BBBBBBBBBBBB', version: 1 }), true);
    },
    () => store.keys.read(key.lineage),
  );
  t.equal(read?.version, 2);
  t.equal(Buffer.from(read?.body ?? []).toString(), 'revoked');
  const found = await store.keys.ofPerson('vera');
  t.same(
    found.map(({ lineage }) => lineage).toSorted(),
    ['AAAAAAAAAAAA', 'BBBBBBBBBBBB'],
    'a new password reaches every key of its person, also those whose place in the index was lost',
  );
});
