import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';

import { test } from 'tap';
import { readPublicKeys } from '../../gateway/audit/audit-keys.ts';
import { verifyTrail } from '../../gateway/audit/verify-trail.ts';
import { TrailFixture } from './trail-fixture.ts';

void test('records are a chain in canonical JSON, and the whole of it verifies', async (t) => {
  const trail = new TrailFixture(t.testdir());
  const writer = trail.writer();
  t.equal(await writer.append(trail.entries(3)), 2, 'behind the record of the start');
  await writer.append(trail.entries(2, 3));
  await writer.finish();
  const { records } = trail;
  t.strictSame(
    records.map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  t.strictSame(
    records.map(({ event }) => event).filter((event) => event.startsWith('trail.')),
    ['trail.opened', 'trail.checkpoint', 'trail.closed'],
  );
  for (const [index, record] of records.entries())
    if (index > 0) t.equal(record.prev, records[index - 1]?.hash);
  const report = await verifyTrail(trail.place, trail.keys);
  t.strictSame(report.problems, []);
  t.ok(report.ok);
  t.match(report.writers, [{ files: 1, records: 8, checkpoints: 2, crashes: 0, lost: 0 }]);
  const text = trail.files.map((file) => readFileSync(file, 'utf8')).join('');
  t.notMatch(text, /person \d/, 'people stand as keyed hashes');
  for (const file of [...trail.files, join(trail.heads, `${records[0]?.writer}.head`)])
    t.equal(statSync(file).mode & 0o777, 0o600, file);
});

void test('a checkpoint is signed once a minute while there is something to sign, and at the end', async (t) => {
  const trail = new TrailFixture(t.testdir());
  const writer = trail.writer();
  await writer.append(trail.entries(1));
  t.equal(writer.isDue, false);
  trail.clock.advance(59_000);
  await writer.append(trail.entries(1));
  t.equal(writer.isDue, false);
  trail.clock.advance(1000);
  t.equal(writer.isDue, true);
  await writer.append([]);
  trail.clock.advance(600_000);
  t.equal(writer.isDue, false, 'nothing new is to be signed');
  await writer.finish();
  t.match(await verifyTrail(trail.place, trail.keys), { ok: true, writers: [{ checkpoints: 3 }] });
});

void test('files rotate by size and by day, and the chain goes through them', async (t) => {
  const trail = new TrailFixture(t.testdir());
  const writer = trail.writer({ fileBytes: 2000 });
  for (let round = 0; round < 6; round += 1) await writer.append(trail.entries(4, round * 4));
  const bySize = trail.files.length;
  t.ok(bySize > 2, `${bySize} files`);
  trail.clock.advance(86_400_000);
  await writer.append(trail.entries(1));
  t.equal(trail.files.length, bySize + 1);
  await writer.finish();
  t.match(await verifyTrail(trail.place, trail.keys), { ok: true, writers: [{ files: bySize + 1 }] });
});

void test('the next process carries the chain on in a file of its own', async (t) => {
  const trail = new TrailFixture(t.testdir());
  for (let start = 0; start < 3; start += 1) {
    const writer = trail.writer();
    await writer.append(trail.entries(2));
    await writer.finish();
  }
  t.equal(trail.files.length, 3);
  t.match(await verifyTrail(trail.place, trail.keys), { ok: true, writers: [{ files: 3, crashes: 0 }] });
});

void test('processes that run at once have chains of their own, and vouch for one another', async (t) => {
  const trail = new TrailFixture(t.testdir());
  const writers = [trail.writer(), trail.writer(), trail.writer()];
  for (const writer of writers) await writer.append(trail.entries(2));
  trail.clock.advance(60_000);
  for (const writer of writers) await writer.append(trail.entries(1));
  for (const writer of writers) await writer.finish();
  const report = await verifyTrail(trail.place, trail.keys);
  t.strictSame(report.problems, []);
  t.equal(report.writers.length, 3);
  t.ok(trail.records.some(({ facts }) => Array.isArray(facts['others']) && facts['others'].length === 2));
  const again = trail.writer();
  await again.append(trail.entries(1));
  await again.finish();
  t.match(await verifyTrail(trail.place, trail.keys), { ok: true });
  t.equal(
    (await verifyTrail(trail.place, trail.keys)).writers.length,
    3,
    'a name that is free again is taken again',
  );
});

void test('a last line that a crash cut off is told as a crash and not as tampering, now and later', async (t) => {
  const running = new TrailFixture(join(t.testdir({ data: {} }), 'data'));
  const before = running.writer();
  await before.append(running.entries(3));
  const trail = running.killed();
  await before.finish();
  const [file = ''] = trail.files;
  appendFileSync(file, '{"event":"session.signed_in","facts":{"acc');
  t.match(await verifyTrail(trail.place, trail.keys), { ok: true, problems: [] });
  const next = trail.writer();
  await next.append(trail.entries(1));
  await next.finish();
  const report = await verifyTrail(trail.place, trail.keys);
  t.strictSame(report.problems, []);
  t.match(report.writers, [{ crashes: 1, files: 2 }]);
  const opened = trail.records.findLast(({ event }) => event === 'trail.opened');
  t.equal(opened?.facts['remains'], 42);
  truncateSync(file, statSync(file).size - 10);
  t.match(
    await verifyTrail(trail.place, trail.keys),
    { ok: false },
    'but what was found there stays on record',
  );
});

void test('records that were written before the last breath are kept, though their head is older', async (t) => {
  const running = new TrailFixture(join(t.testdir({ data: {} }), 'data'));
  const writer = running.writer();
  await writer.append(running.entries(1));
  const head = `${running.records[0]?.writer}.head`;
  const before = readFileSync(join(running.heads, head));
  await writer.append(running.entries(5));
  const trail = running.killed();
  await writer.finish();
  writeFileSync(join(trail.heads, head), before);
  t.match(await verifyTrail(trail.place, trail.keys), { ok: true }, 'their codes vouch for them');
  const withoutMaster = readPublicKeys(trail.keys.publicKeys.join('\n'));
  t.match(await verifyTrail(trail.place, withoutMaster), { ok: false, problems: [{ kind: 'unsigned' }] });
  const next = trail.writer();
  await next.append(trail.entries(1));
  await next.finish();
  t.match(await verifyTrail(trail.place, trail.keys), { ok: true });
  t.match(await verifyTrail(trail.place, withoutMaster), { ok: true }, 'and the next signature covers them');
});

void test('public keys alone verify, and another key does not', async (t) => {
  const trail = new TrailFixture(t.testdir());
  const writer = trail.writer();
  await writer.append(trail.entries(3));
  await writer.finish();
  t.match(await verifyTrail(trail.place, readPublicKeys(trail.keys.publicKeys.join('\n'))), { ok: true });
  const stranger = new TrailFixture(trail.data, `1:${'B'.repeat(42)}A`);
  t.equal((await verifyTrail(trail.place, readPublicKeys(stranger.keys.publicKeys.join('\n')))).ok, false);
  t.equal((await verifyTrail(trail.place, stranger.keys)).ok, false);
});

void test('a trail outlives a change of the master key', async (t) => {
  const data = t.testdir();
  const old = `1:${'A'.repeat(43)}`;
  const first = new TrailFixture(data, old);
  const writer = first.writer();
  await writer.append(first.entries(3));
  await writer.finish();
  const both = new TrailFixture(data, `2:${'C'.repeat(42)}A\n${old}`);
  const next = both.writer();
  await next.append(both.entries(3));
  await next.finish();
  t.match(await verifyTrail(both.place, both.keys), { ok: true });
  const newOnly = new TrailFixture(data, `2:${'C'.repeat(42)}A`);
  t.match(
    await verifyTrail(newOnly.place, newOnly.keys),
    { ok: true },
    'the newer signatures cover the older records',
  );
});

void test('after damage the chain goes on from its signed head, and the damage stays visible', async (t) => {
  for (const harm of [
    (trail: TrailFixture) => truncateSync(trail.files[0] ?? '', 900),
    (trail: TrailFixture) => rmSync(trail.files[0] ?? ''),
    (trail: TrailFixture) => rmSync(trail.directory, { recursive: true }),
    (trail: TrailFixture) => rmSync(trail.heads, { recursive: true }),
    (trail: TrailFixture) => appendFileSync(trail.files[0] ?? '', 'a line that nobody here wrote\n'),
  ]) {
    const trail = new TrailFixture(t.testdir());
    rmSync(trail.data, { recursive: true });
    mkdirSync(trail.data);
    const writer = trail.writer();
    await writer.append(trail.entries(3));
    await writer.finish();
    harm(trail);
    const next = trail.writer();
    await next.append(trail.entries(2));
    await next.finish();
    const report = await verifyTrail(trail.place, trail.keys);
    t.equal(report.ok, false, harm.toString());
  }
});

void test('what can no longer be written leaves nothing half written behind', async (t) => {
  const trail = new TrailFixture(t.testdir());
  const writer = trail.writer();
  await writer.append(trail.entries(2));
  rmSync(trail.directory, { recursive: true });
  writeFileSync(trail.directory, 'in the way');
  trail.clock.advance(86_400_000);
  await t.rejects(writer.append(trail.entries(1)));
  await t.rejects(writer.append(trail.entries(1)));
  rmSync(trail.directory);
  await writer.append(trail.entries(1));
  await writer.finish();
  t.equal(trail.files.map((file) => basename(file)).length, 1);
  t.match(await verifyTrail(trail.place, trail.keys), {
    ok: false,
    problems: [{ kind: 'missing' }, { kind: 'removed' }],
  });
});
