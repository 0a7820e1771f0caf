import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'tap';

import { MemoryRecords } from '../../gateway/backup/memory-records.ts';
import { writeRestored } from '../../gateway/backup/restore-files.ts';
import { beginInclude } from '../../gateway/backup/restore-include.ts';
import {
  parseKey,
  parseRecord,
  parseTombstone,
  readJsonLines,
} from '../../gateway/backup/restore-records.ts';

async function* bytes(...parts: (string | Buffer)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

void test('a file of an archive is written below its directory and nowhere else', async (t) => {
  const directory = t.testdir({ inside: {} });
  const inside = join(directory, 'inside');
  await writeRestored(inside, 'tls/ca.key', bytes('one ', 'two'));
  t.equal(readFileSync(join(inside, 'tls/ca.key'), 'utf8'), 'one two');
  t.equal(statSync(join(inside, 'tls/ca.key')).mode & 0o777, 0o600);
  for (const path of ['../out', 'a/../../out', '/out', 'a//b', './a', 'a/./b', '', 'a\\b', 'a\0b', '..'])
    await t.rejects(
      writeRestored(inside, path, bytes('x')),
      { code: 'backup_invalid' },
      JSON.stringify(path),
    );
  t.notOk(existsSync(join(directory, 'out')));
  await t.rejects(writeRestored(inside, 'tls/ca.key', bytes('x')), { code: 'EEXIST' }, 'no file twice');
});

void test('records of an archive are read line by line, wherever it was cut into chunks', async (t) => {
  const key = {
    lineage: 'L',
    version: 2,
    person: 'P',
    due_ms: 5,
    body: 'AAEC',
    use: { at_ms: 7, sealed: 'AQ==' },
  };
  const text = `${JSON.stringify(key)}\n${JSON.stringify({ ...key, lineage: 'ключ', use: undefined })}\n`;
  const all = Buffer.from(text);
  const pieces = Array.from(all, (_, index) => all.subarray(index, index + 1));
  const keys = [];
  for await (const value of readJsonLines(bytes(...pieces))) keys.push(parseKey(value));
  t.match(keys, [{ lineage: 'L', version: 2, person: 'P', dueMs: 5, use: { atMs: 7 } }, { lineage: 'ключ' }]);
  t.same([...(keys[0]?.body ?? [])], [0, 1, 2]);
  t.match(parseRecord({ kind: 'admin', id: 'list', version: 1, body: '' }), { kind: 'admin', id: 'list' });
  t.match(parseTombstone({ id: 'f', created_ms: 1, ends_ms: 2, generation: 3 }), { createdMs: 1, endsMs: 2 });
  for (const odd of [{}, null, 'x', { ...key, version: '2' }, { ...key, body: 7 }, { ...key, due_ms: 1.5 }])
    t.throws(() => parseKey(odd), { code: 'backup_invalid' });
  await t.rejects(readJsonLines(bytes('{"half":')).next(), { code: 'backup_invalid' });
});

void test('of two versions of a record on their way into a store the later one counts', async (t) => {
  const records = new MemoryRecords();
  const record = (version: number) =>
    ({ kind: 'proposal', id: 'restore', version, body: Buffer.from([version]) }) as const;
  records.take(record(3));
  records.take(record(2));
  t.match(await records.read('proposal', 'restore'), { version: 3 });
  t.equal(await records.write(record(5)), false);
  t.equal(await records.write(record(4)), true);
  t.match(await records.list('proposal'), [{ version: 4 }]);
  t.same(await records.list('admin'), []);
});

void test('the parts of a source reach its command in order, no faster than it takes them', async (t) => {
  const seen: string[] = [];
  const include = beginInclude('db', async (body) => {
    for await (const chunk of body) {
      await pause(1);
      seen.push(Buffer.from(chunk).toString());
    }
  });
  for (const part of ['a', 'b', 'c']) await include.take(bytes(part.repeat(100_000)));
  await include.finish();
  t.equal(seen.join(''), ['a', 'b', 'c'].map((part) => part.repeat(100_000)).join(''));
});

void test('a command that fails is known before the next part, and at the end', async (t) => {
  const failing = beginInclude('db', () => Promise.reject(new Error('pg_restore: exit 1')));
  await t.rejects(
    (async () => {
      for (let part = 0; part < 100; part += 1) await failing.take(bytes('x'.repeat(1 << 20)));
    })(),
    /exit 1/,
  );
  await t.rejects(failing.finish(), /exit 1/);
  const early = beginInclude('db', () => Promise.resolve());
  await early.take(bytes('x'.repeat(1 << 20)));
  await early.take(bytes('x'.repeat(1 << 20)));
  await early.finish();
  let told: unknown;
  const given = beginInclude('db', async (body) => {
    for await (const _ of body);
  });
  await given.take(bytes('x'));
  await given.abandon();
  await given.finish().catch((error: unknown) => (told = error));
  t.match(told, { message: /given up/ });
});
