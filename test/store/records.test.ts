import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { startSentinels } from '../support/redis-servers.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { recordStoreContract } from './record-contract.ts';
import { loseLast, onEveryRedis } from './redis-groups.ts';

await onEveryRedis('the records', (t, store, second) =>
  recordStoreContract(t, store.records, second.records),
);

await test('the embedded records', async (t) => {
  const path = join(temporaryDirectory(), 'records.db');
  const [store, other] = [openEmbeddedRecords(path), openEmbeddedRecords(path)];
  t.teardown(() => {
    store.close();
    other.close();
  });
  await recordStoreContract(t, store, other);
  t.equal(statSync(path).mode & 0o777, 0o600);
});

await test('a record that was written in the seconds that a failover lost comes back', async (t) => {
  const group = await startSentinels();
  const store = await openRedisStore({ place: group.place });
  t.teardown(async () => {
    await store.close();
    await group.stop();
  });
  const seal = { kind: 'region', id: 'msk', version: 1, body: Buffer.from('open') } as const;
  t.equal(await store.records.write(seal), true);
  const read = await loseLast(
    group,
    async () => {
      t.equal(await store.records.write({ ...seal, version: 2, body: Buffer.from('sealed') }), true);
    },
    () => store.records.read('region', 'msk'),
  );
  t.equal(read?.version, 2);
  t.equal(Buffer.from(read?.body ?? []).toString(), 'sealed');
});
