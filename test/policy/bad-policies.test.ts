import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { didYouMean, editDistance } from '../../gateway/policy/did-you-mean.ts';
import { loadPolicy } from '../../gateway/policy/load-policy.ts';
import { formatMistake } from '../../gateway/policy/mistake.ts';
import { readPolicyText, SHORTEST } from '../support/policy-fixture.ts';
import { BAD_BACKUPS } from './bad-backup-table.ts';
import { BAD_LIMITS } from './bad-limit-table.ts';
import { BAD_POLICIES, GOOD, R, T } from './bad-policy-table.ts';

for (const [policy, ...says] of [...BAD_POLICIES, ...BAD_LIMITS, ...BAD_BACKUPS])
  await test(`${JSON.stringify(policy.replace(GOOD, '…').slice(0, 90))} is refused with its place`, async (t) => {
    const folder = t.testdir();
    const file = join(folder, 'p.yaml');
    writeFileSync(file, policy.replaceAll('FOLDER', folder));
    const reading = loadPolicy(file, {});
    const found = 'mistakes' in reading ? reading.mistakes.map(formatMistake) : ['no mistake was found'];
    t.strictSame(
      found.map((line) => line.replace(`${file}:`, '').replaceAll(`${folder}/`, '').replaceAll(folder, '')),
      says.map((line) => line.replaceAll('FOLDER/', '')),
    );
  });

await test('a master key that is not there yet is no mistake for the embedded store, which makes it', async (t) => {
  const reading = readPolicyText(t, `${SHORTEST}secrets: { master_key: "file:FOLDER/none" }\n`);
  t.match(reading, { policy: { masterKey: { kind: 'file' } } });
});

await test('a path that holds no policies is said to hold none', async (t) => {
  const folder = t.testdir({ empty: {}, 'bytes.yaml': Buffer.from([0x61, 0xff, 0xfe]) });
  mkdirSync(join(folder, 'x.yaml'));
  writeFileSync(join(folder, 'large.yaml'), '#'.repeat(2_000_000));
  writeFileSync(join(folder, 'secret.yaml'), SHORTEST);
  chmodSync(join(folder, 'secret.yaml'), 0);
  const say = (path: string) => {
    const reading = loadPolicy(join(folder, path), {});
    return 'mistakes' in reading ? reading.mistakes.map(({ message }) => message) : [];
  };
  t.strictSame(say('none'), ['the path does not exist']);
  t.strictSame(say('empty'), ['the directory holds no policy (*.yaml, *.yml)']);
  t.strictSame(say('bytes.yaml'), ['the file is not UTF-8']);
  t.strictSame(say('large.yaml'), ['the file is larger than 1 MiB']);
  t.strictSame(say('large.yaml/x'), ['the path does not exist: part of its path is a file']);
  if (process.getuid?.() !== 0) t.strictSame(say('secret.yaml'), ['the file may not be read by this user']);
  t.strictSame(say('a\0b'), ['the path cannot be read (ERR_INVALID_ARG_VALUE)']);
  const everything = loadPolicy(folder, {});
  t.ok('mistakes' in everything && everything.mistakes.length >= 2, 'one bad file refuses the directory');
});

await test('a key of two files is refused with both places, and the rest of both is checked', async (t) => {
  const folder = t.testdir({ 'a.yaml': GOOD, 'b.yaml': `\nroutes: []\nlog: { level: x }\n` });
  const reading = loadPolicy(folder, {});
  const lines = 'mistakes' in reading ? reading.mistakes.map(formatMistake) : [];
  t.strictSame(
    lines.map((line) => line.replaceAll(`${folder}/`, '')),
    [
      'b.yaml:2:1: key given twice, first in a.yaml:2:1: "routes"',
      'b.yaml:3:15: log.level: not a possible value: "x". Allowed: trace, debug, info, warn, error',
    ],
  );
});

await test('a file that cannot be read for sure makes nothing of the other files look missing', async (t) => {
  const folder = t.testdir({ 'a.yaml': `${R}${T}`, 'b.yaml': 'sessions: {\n' });
  const reading = loadPolicy(folder, {});
  const mistakes = 'mistakes' in reading ? reading.mistakes : [];
  t.ok(mistakes.length > 0 && mistakes.every(({ file }) => file.endsWith('b.yaml')));
});

await test('a mistake is one line without control characters, whatever the policy holds', async (t) => {
  const text = String.raw`routing: { home: { accounts: { "a\nb\e[31m": x, "\x9b": y } } }` + `\n${SHORTEST}`;
  const reading = readPolicyText(t, text);
  const lines = 'mistakes' in reading ? reading.mistakes.map(formatMistake) : [];
  t.equal(lines.length, 4);
  for (const line of lines) t.notMatch(line, /\p{Cc}/u);
  t.ok(
    lines.some((line) => line.includes(String.raw`accounts.a\u000ab\u001b[31m`)),
    'in names too',
  );
});

await test('a word is taken for another only when it is near', async (t) => {
  t.equal(editDistance('kitten', 'sitting'), 3);
  t.equal(editDistance('abcd', 'acbd'), 1, 'swapped neighbours are one mistake');
  t.equal(editDistance('', 'abc'), 3);
  t.equal(didYouMean('rotateEvery', ['rotate_every', 'grace']), 'rotate_every');
  t.equal(didYouMean('xyz', ['rotate_every', 'grace']), undefined);
  t.equal(didYouMean('x'.repeat(100_000), ['x'.repeat(30)]), undefined);
});
