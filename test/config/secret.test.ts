import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { processEnvironment } from '../../gateway/config/environment.ts';
import { readSecret } from '../../gateway/config/read-secret.ts';
import { parseSecretReference } from '../../gateway/config/secret-reference.ts';

await test('a secret is only ever named: by file, variable or systemd credential', async (t) => {
  t.strictSame(parseSecretReference('file:var/master.key'), { kind: 'file', path: 'var/master.key' });
  t.strictSame(parseSecretReference('file:/a:b'), { kind: 'file', path: '/a:b' });
  t.strictSame(parseSecretReference('env:ZASOV_KEY'), { kind: 'env', name: 'ZASOV_KEY' });
  t.strictSame(parseSecretReference('credential:master-key'), { kind: 'credential', name: 'master-key' });
  const bad = [
    '',
    'hunter2',
    'file:',
    'file: x',
    'env:',
    'env:A-B',
    'env:1A',
    'credential:',
    'credential:../x',
    'credential:a/b',
    'credential:.x',
    'FILE:x',
    'vault:x',
    'file:a\0b',
  ];
  for (const text of bad) t.equal(parseSecretReference(text), undefined, JSON.stringify(text));
});

await test('a secret comes without the line break that editors put at its end, and otherwise as it is', async (t) => {
  const folder = t.testdir({ unix: 'key one \n', windows: 'key two\r\n', bare: ' key', lines: 'a\nb\n\n' });
  const read = (name: string) => readSecret({ kind: 'file', path: join(folder, name) }, {});
  t.strictSame(read('unix'), { value: 'key one ' });
  t.strictSame(read('windows'), { value: 'key two' });
  t.strictSame(read('bare'), { value: ' key' });
  t.strictSame(read('lines'), { value: 'a\nb\n' });
});

await test('a secret that is not there says why, and whether it could still be made', async (t) => {
  const folder = t.testdir({ empty: '', blank: '\n' });
  mkdirSync(join(folder, 'inner'));
  writeFileSync(join(folder, 'large'), 'x'.repeat(70_000));
  const read = (name: string) => readSecret({ kind: 'file', path: join(folder, name) }, {});
  t.match(read('missing'), { problem: /missing does not exist$/, absent: true });
  t.match(read('empty/x'), { problem: /does not exist: part of its path is a file$/, absent: true });
  t.match(read('empty'), { problem: /is empty$/, absent: false });
  t.match(read('blank'), { problem: /is empty$/, absent: false });
  t.match(read('inner'), { problem: /is not a file$/, absent: false });
  t.match(read('large'), { problem: /too large/, absent: false });
});

await test('variables and credentials are looked up in the environment that is given', async (t) => {
  const folder = t.testdir({ 'master-key': 'from systemd\n' });
  const environment = { KEY: 'from env', EMPTY: '', CREDENTIALS_DIRECTORY: folder };
  t.strictSame(readSecret({ kind: 'env', name: 'KEY' }, environment), { value: 'from env' });
  t.match(readSecret({ kind: 'env', name: 'EMPTY' }, environment), {
    problem: /EMPTY is empty/,
    absent: false,
  });
  t.match(readSecret({ kind: 'env', name: 'NONE' }, environment), {
    problem: /NONE is not set/,
    absent: true,
  });
  t.strictSame(readSecret({ kind: 'credential', name: 'master-key' }, environment), {
    value: 'from systemd',
  });
  t.match(readSecret({ kind: 'credential', name: 'other' }, environment), {
    problem: /does not exist/,
    absent: true,
  });
  t.match(readSecret({ kind: 'credential', name: 'other' }, {}), {
    problem: /CREDENTIALS_DIRECTORY is not set/,
  });
  t.equal(processEnvironment(), process.env);
});
