import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { openEmbeddedKeys } from '../../gateway/store/embedded-keys.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { keyStoreContract } from './key-contract.ts';

await test('the embedded store of keys', async (t) => {
  const path = join(temporaryDirectory(), 'keys.db');
  const store = openEmbeddedKeys(path);
  t.teardown(() => store.close());
  await keyStoreContract(t, store, async () => {
    const other = openEmbeddedKeys(path);
    t.teardown(() => other.close());
    return other;
  });
  t.equal(statSync(path).mode & 0o777, 0o600);
});

await test('a file that is none of ours is named and left alone', async (t) => {
  const path = join(temporaryDirectory(), 'master.key');
  const { writeFileSync } = await import('node:fs');
  writeFileSync(path, 'not a database, and long enough to be looked at as one: '.repeat(20));
  const before = readFileSync(path);
  t.throws(() => openEmbeddedKeys(path), { code: 'store_unavailable', message: /master\.key/ });
  t.same(readFileSync(path), before);
});
