import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { sealedKeyFiles } from '../../gateway/store/key-file.ts';

const [first, second] = ['1', '2'].map((kid) => `${kid}:${createMasterKey().trim().slice(2)}`);
const keys = sealedKeyFiles(parseKeyring(first ?? ''));
const text = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
});

await test('a key that was written can be read, and its file says nothing of it', async (t) => {
  const file = join(t.testdir(), 'ca.key');
  await keys.write(file, text);
  t.equal(await keys.read(file), text);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.notMatch(readFileSync(file, 'utf8'), /PRIVATE KEY/);
  t.equal(await keys.read(join(t.testdirName, 'none.key')), undefined);
});

await test('a key that lay there in plain text is sealed in its place and stays the same', async (t) => {
  const file = join(t.testdir({ 'ca.key': text }), 'ca.key');
  t.equal(await keys.read(file), text);
  t.notMatch(readFileSync(file, 'utf8'), /PRIVATE KEY/);
  t.equal(await keys.read(file), text);
});

await test('another master key, another name or a changed byte opens nothing', async (t) => {
  const file = join(t.testdir(), 'ca.key');
  await keys.write(file, text);
  const strange = sealedKeyFiles(parseKeyring(second ?? ''));
  await t.rejects(strange.read(file), { code: 'internal', message: /master key that is not here/ });
  const renamed = join(t.testdirName, 'leaf.key');
  renameSync(file, renamed);
  await t.rejects(keys.read(renamed), { code: 'internal' });
  writeFileSync(file, readFileSync(renamed, 'utf8').replace(/[A-Za-z](?=[^A-Za-z]*\n-----END)/, '0'));
  await t.rejects(keys.read(file), { code: 'internal' });
  writeFileSync(file, 'no key at all');
  await t.rejects(keys.read(file), { code: 'internal', message: /holds no private key/ });
});

await test('a key moves to the new master key the first time it is read', async (t) => {
  const file = join(t.testdir(), 'ca.key');
  await keys.write(file, text);
  t.equal(await sealedKeyFiles(parseKeyring(`${second}\n${first}`)).read(file), text);
  t.equal(await sealedKeyFiles(parseKeyring(second ?? '')).read(file), text);
});
