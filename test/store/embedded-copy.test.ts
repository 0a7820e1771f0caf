import { mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { openEmbeddedCopy } from '../../gateway/store/embedded-copy.ts';
import { openEmbeddedKeys } from '../../gateway/store/embedded-keys.ts';
import { openStoreCopy, openStoreLoad } from '../../gateway/store/open-store-copy.ts';
import { openStore } from '../../gateway/store/open-store.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { storeCopyContract } from './copy-contract.ts';

await test('a copy of the embedded store', async (t) => {
  const place = { choice: { kind: 'embedded' as const }, data: temporaryDirectory(), environment: {} };
  await storeCopyContract(t, {
    copy: () => openStoreCopy(place),
    load: () => openStoreLoad(place),
    serve: () =>
      openStore({
        ...place,
        transitions: familyTransitions,
        clock: systemClock,
        onUnreplicated: () => undefined,
      }),
  });
  t.equal(statSync(join(place.data, 'keys.db')).mode & 0o777, 0o600);
});

await test('a copy shows one moment, and holds up nobody who writes', async (t) => {
  const data = temporaryDirectory();
  const keys = openEmbeddedKeys(join(data, 'keys.db'));
  t.teardown(() => keys.close());
  const key = { lineage: 'AAAAAAAAAAAA', version: 1, person: 'vera', dueMs: 1, body: Buffer.from('before') };
  await keys.write(key);
  const copy = openEmbeddedCopy(data);
  t.teardown(() => copy.close());
  t.equal(await keys.write({ ...key, version: 2, body: Buffer.from('after') }), true);
  t.equal(await keys.write({ ...key, lineage: 'BBBBBBBBBBBB' }), true);
  const found: string[] = [];
  for await (const { lineage, body } of copy.keys()) found.push(`${lineage} ${Buffer.from(body).toString()}`);
  t.same(found, ['AAAAAAAAAAAA before']);
});

await test('a directory without a store gives an empty copy, and a damaged file an error that names it', async (t) => {
  const data = mkdtempSync(join(temporaryDirectory(), 'copy-'));
  const copy = openEmbeddedCopy(data);
  for await (const key of copy.keys()) t.fail(key.lineage);
  await copy.close();
  writeFileSync(join(data, 'keys.db'), 'no database, and long enough to be looked at as one: '.repeat(20));
  t.throws(() => openEmbeddedCopy(data), { code: 'store_unavailable', message: /keys\.db/ });
});
