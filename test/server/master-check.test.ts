import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Test, test } from 'tap';

import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import { readKeyring } from '../../gateway/server/read-keyring.ts';

const [first, second, foreign] = ['1', '2', '1'].map((kid) => `${kid}:${createMasterKey().trim().slice(2)}`);

/** A data directory, and a way to start on it with a master key that lies elsewhere. */
function place(t: Test) {
  const data = join(t.testdir({}), 'data');
  const start = async (...lines: (string | undefined)[]) =>
    await readKeyring({ masterKey: { kind: 'env', name: 'MASTER' } }, data, { MASTER: lines.join('\n') });
  return { data, start };
}

await test('a data directory is not opened with another master key, and the sentence says what to do', async (t) => {
  const { data, start } = place(t);
  await start(first);
  const check = join(data, 'master.check');
  t.equal(statSync(check).mode & 0o777, 0o600);
  t.equal(statSync(data).mode & 0o777, 0o700);
  t.notMatch(readFileSync(check, 'utf8'), first?.slice(2), 'it is not the key');
  for (const lines of [[foreign], [second], [second, foreign]]) {
    await t.rejects(start(...lines), /used with another master key \(id "1"\).*delete .*master\.check/);
  }
  t.equal((await start(first)).currentKid, '1', 'the right one opens it as before');
  rmSync(check);
  t.equal((await start(foreign)).currentKid, '1', 'who gives everything up may');
});

await test('a master key is rotated with the old line kept, and may be dropped afterwards', async (t) => {
  const { start } = place(t);
  await start(first);
  t.equal((await start(second, first)).currentKid, '2');
  t.equal((await start(second)).currentKid, '2');
  await t.rejects(start(first), /id "2"/);
});

await test('a master key that went away is not made anew', async (t) => {
  const { data } = place(t);
  const elsewhere = join(data, '..', 'stick');
  mkdirSync(elsewhere);
  const path = join(elsewhere, 'master.key');
  for (const masterKey of [undefined, { kind: 'file', path } as const]) {
    const file = masterKey?.path ?? join(data, 'master.key');
    const { currentKid } = await readKeyring({ masterKey }, data, {});
    t.equal(currentKid, '1');
    const kept = readFileSync(file, 'utf8');
    rmSync(file);
    await t.rejects(readKeyring({ masterKey }, data, {}), new RegExp(`${file} is missing; .*put it back`));
    t.notOk(existsSync(file));
    writeFileSync(file, kept);
    await readKeyring({ masterKey }, data, {});
    rmSync(data, { recursive: true });
  }
});

await test('starts at the same moment on a new directory agree on one key', async (t) => {
  const { data } = place(t);
  const rings = await Promise.all(
    Array.from({ length: 8 }, async () => await readKeyring({ masterKey: undefined }, data, {})),
  );
  const keys = rings.map((ring) => ring.deriveCurrent('x').toString('hex'));
  t.equal(new Set(keys).size, 1);
  await readKeyring({ masterKey: undefined }, data, {});
});
