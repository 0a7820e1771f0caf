import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { openRedisStore, type RedisStore } from '../../gateway/store/redis-store.ts';
import {
  type RedisGroup,
  startCluster,
  startSentinels,
  startSingle,
  until,
} from '../support/redis-servers.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { recordStoreContract } from './record-contract.ts';

const GROUPS: [name: string, start: () => Promise<RedisGroup>][] = [
  ['alone', startSingle],
  ['behind Sentinel', startSentinels],
  ['as a Cluster', startCluster],
];

for (const [name, start] of GROUPS) {
  await test(`the records of a Redis ${name}`, async (t) => {
    const group = await start();
    const open = async (): Promise<RedisStore> => await openRedisStore({ place: group.place });
    const [store, second] = [await open(), await open()];
    t.teardown(async () => {
      await Promise.all([store.close(), second.close()]);
      await group.stop();
    });
    await recordStoreContract(t, store.records, second.records);
  });
}

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
  const [primary, replica] = group.servers;
  const seal = { kind: 'region', id: 'msk', version: 1, body: Buffer.from('open') } as const;
  t.equal(await store.records.write(seal), true);
  await primary?.command('ACL', 'SETUSER', 'default', '-psync', '-sync');
  await primary?.command('CLIENT', 'KILL', 'TYPE', 'replica');
  t.equal(await store.records.write({ ...seal, version: 2, body: Buffer.from('sealed') }), true);
  await primary?.kill();
  await until(async () => String(await replica?.command('ROLE')).startsWith('master'), 20_000);
  let read = await store.records.read('region', 'msk').catch(() => undefined);
  await until(async () => {
    read = await store.records.read('region', 'msk');
    return read !== undefined;
  }, 20_000);
  t.equal(read?.version, 2);
  t.equal(Buffer.from(read?.body ?? []).toString(), 'sealed');
});
