import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { parseKeyring, createMasterKey } from '../../gateway/crypto/keyring.ts';
import { SignedRecords } from '../../gateway/admin/signed-records.ts';
import { closeAll, type Closers } from '../../gateway/server/closers.ts';
import { UNFINISHED_FILE } from '../../gateway/backup/restore-place.ts';
import { readEpoch, refuseUnfinished, watchEpoch } from '../../gateway/server/restore-epoch.ts';
import { EPOCH_RECORD } from '../../gateway/store/record-store.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';

// What is watched keeps no process alive.
const alive = setInterval(() => undefined, 1000);
const logged: unknown[] = [];
const logger = { error: (message: string, facts: unknown) => logged.push([message, facts]) };

function parts(data: string) {
  const records = openEmbeddedRecords(join(data, 'records.db'));
  const closers: Closers = [() => records.close()];
  return { records, closers, watched: { records, data, logger: logger as never } };
}

void test('a gateway sees that the state under it was restored, and says so', async (t) => {
  const data = t.testdir();
  const { records, closers, watched } = parts(data);
  const { superseded } = await watchEpoch(watched, closers);
  t.equal(await readEpoch(records), 0);
  const signed = new SignedRecords(records, parseKeyring(createMasterKey()), data);
  await signed.write(EPOCH_RECORD.kind, EPOCH_RECORD.id, 1, { archive: 'x' });
  t.match(await superseded, /was restored from a backup/);
  t.match(logged, [['stops serving: start the gateway again', {}]]);
  await closeAll(closers);
});

void test('a gateway sees that its data directory was replaced', async (t) => {
  const data = join(t.testdir(), 'data');
  mkdirSync(data);
  const { closers, watched } = parts(data);
  const { superseded } = await watchEpoch(watched, closers);
  renameSync(data, `${data}.before`);
  mkdirSync(data);
  t.match(await superseded, /was replaced while the gateway ran/);
  await closeAll(closers);
});

void test('nothing is served from a data directory in which a restore was interrupted', (t) => {
  const data = t.testdir();
  refuseUnfinished(data);
  writeFileSync(join(data, UNFINISHED_FILE), '');
  t.throws(() => refuseUnfinished(data), {
    code: 'internal',
    message: /run the same zasov restore command again/,
  });
  clearInterval(alive);
  t.end();
});
