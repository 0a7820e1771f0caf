import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import { insideOf, placeMaster } from '../../gateway/server/restore-master.ts';

const TEXT = createMasterKey();

void test('the master key goes where the policy says, and first beside what becomes the data directory', async (t) => {
  const root = t.testdir({ staging: {} });
  const [data, staging] = [join(root, 'data'), join(root, 'staging')];
  const base = { data, staging, environment: {}, text: TEXT };
  await (await placeMaster({ ...base, reference: undefined })).put();
  t.equal(readFileSync(join(staging, 'master.key'), 'utf8'), TEXT);
  await (await placeMaster({ ...base, reference: { kind: 'file', path: join(data, 'keys/one') } })).put();
  t.equal(readFileSync(join(staging, 'keys/one'), 'utf8'), TEXT);
  t.equal(statSync(join(staging, 'keys/one')).mode & 0o777, 0o600);
  const outside = join(root, 'elsewhere/master.key');
  const place = await placeMaster({ ...base, reference: { kind: 'file', path: outside } });
  await place.put();
  t.equal(readFileSync(outside, 'utf8'), TEXT);
  await (await placeMaster({ ...base, reference: { kind: 'file', path: outside } })).put();
});

void test('other master keys in its place are not touched', async (t) => {
  const root = t.testdir({ staging: {} });
  const base = { data: join(root, 'data'), staging: join(root, 'staging'), text: TEXT };
  const path = join(root, 'master.key');
  writeFileSync(path, createMasterKey());
  const file = { kind: 'file', path } as const;
  await t.rejects(placeMaster({ ...base, environment: {}, reference: file }), {
    code: 'restore_refused',
    message: /holds other master keys/,
  });
  writeFileSync(path, `# rotated\n2:${TEXT.slice(2).trim()}\n${TEXT}`);
  await t.resolves(
    placeMaster({ ...base, environment: {}, reference: file }),
    'more keys than those are welcome',
  );
  const environment = { ZASOV_KEY: createMasterKey() };
  await t.rejects(placeMaster({ ...base, environment, reference: { kind: 'env', name: 'ZASOV_KEY' } }), {
    code: 'restore_refused',
  });
});

void test('where the policy wants a variable that is not set, the operator is told what to set', async (t) => {
  const root = t.testdir({ staging: {} });
  const base = { data: join(root, 'data'), staging: join(root, 'staging'), text: TEXT };
  const reference = { kind: 'env', name: 'ZASOV_KEY' } as const;
  const place = await placeMaster({ ...base, environment: {}, reference });
  t.match(place.says, /the policy wants it as env:ZASOV_KEY; set that from the file, then delete the file/);
  await place.put();
  t.equal(readFileSync(join(base.staging, 'master.key'), 'utf8'), TEXT);
  const atHand = await placeMaster({ ...base, environment: { ZASOV_KEY: TEXT }, reference });
  t.match(atHand.says, /at hand as env:ZASOV_KEY/);
});

void test('inside of a directory means below it', (t) => {
  t.equal(insideOf('/a/b', '/a/b/c/d'), 'c/d');
  t.equal(insideOf('/a/b', '/a/b'), undefined);
  t.equal(insideOf('/a/b', '/a/bc'), undefined);
  t.equal(insideOf('/a/b', '/a/..b'), undefined);
  t.end();
});
