/** The trail attacked by a generator of edits: every one is found, and where it is. */
import { appendFileSync, copyFileSync, cpSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

import { test } from 'tap';
import { readPublicKeys } from '../../gateway/audit/audit-keys.ts';
import type { AuditRecord } from '../../gateway/audit/audit-record.ts';
import type { TrailReport } from '../../gateway/audit/trail-report.ts';
import { verifyTrail } from '../../gateway/audit/verify-trail.ts';
import * as fc from '../support/property-based.ts';
import { ATTACKS, RANGE, write } from './trail-attacks.ts';
import { TrailFixture } from './trail-fixture.ts';

/** Two processes of one node, rotated files, a restart, a crash that cut off a line, checkpoints of both. */
async function workedTrail(data: string): Promise<TrailFixture> {
  const early = new TrailFixture(join(data, 'early'));
  const before = early.writer({ fileBytes: 2000 });
  await work(early, [before], 3);
  const trail = early.killed();
  await before.finish();
  appendFileSync(trail.files.at(-1) ?? '', '{"event":"session.si');
  const writers = [trail.writer({ fileBytes: 2000 }), trail.writer({ fileBytes: 2000 })];
  await work(trail, writers, 5);
  for (const writer of writers) await writer.finish();
  return trail;
}

async function work(
  trail: TrailFixture,
  writers: readonly ReturnType<TrailFixture['writer']>[],
  rounds: number,
) {
  for (let round = 0; round < rounds; round += 1) {
    for (const writer of writers) await writer.append(trail.entries(3, round * 3));
    trail.clock.advance(40_000);
  }
}

void test(
  'every edit of a generator is found, by the master key and by the public key alone',
  { timeout: 180_000 },
  async (t) => {
    const worked = await workedTrail(t.testdir());
    t.match(await verifyTrail(worked.place, worked.keys), { ok: true, problems: [] });
    t.ok(worked.files.length > 6, `${worked.files.length} files`);
    const publicOnly = readPublicKeys(worked.keys.publicKeys.join('\n'));
    const data = `${worked.data}-attacked`;
    const tried = new Map<string, number>();
    const attacks = fc.record({
      attack: fc.constantFrom(...ATTACKS),
      draws: fc.array(fc.integer({ min: 0, max: RANGE - 1 }), {
        minLength: 8,
        maxLength: 8,
      }),
    });
    await fc.assert(
      fc.asyncProperty(attacks, async ({ attack, draws }) => {
        rmSync(data, { recursive: true, force: true });
        cpSync(worked.data, data, { recursive: true });
        const trail = new TrailFixture(data);
        let next = 0;
        const place = attack.run(trail, () => (draws[(next += 1) % draws.length] ?? 0) / RANGE);
        if (place === false) return;
        tried.set(attack.name, (tried.get(attack.name) ?? 0) + 1);
        const report = await verifyTrail(trail.place, trail.keys);
        if (report.ok) throw new Error(`not found: ${attack.name}`);
        if (place !== undefined && !report.problems.some(({ file }) => file === place))
          throw new Error(`${attack.name}: not placed in ${place}: ${JSON.stringify(report.problems)}`);
        if ((await verifyTrail(trail.place, publicOnly)).ok)
          throw new Error(`not found with the public key alone: ${attack.name}`);
      }),
      { numRuns: 300, unbiased: true },
    );
    for (const { name } of ATTACKS) t.ok((tried.get(name) ?? 0) > 0, `${name}: ${tried.get(name)} times`);
    rmSync(data, { recursive: true, force: true });
  },
);

void test('the exact place of an edit is named: file, line and sequence number', async (t) => {
  const worked = await workedTrail(t.testdir());
  const cases: readonly {
    readonly what: string;
    readonly harm: (file: string, lines: string[]) => void;
    readonly says: object;
  }[] = [
    {
      what: 'edited',
      harm: (file, lines) =>
        write(
          file,
          lines.map((line, at) => (at === 2 ? line.replace('acme', 'evil') : line)),
        ),
      says: { kind: 'edited', line: 3 },
    },
    {
      what: 'removed',
      harm: (file, lines) => write(file, lines.toSpliced(2, 2)),
      says: { kind: 'removed', line: 3 },
    },
    {
      what: 'reordered',
      harm: (file, lines) => write(file, lines.toSpliced(2, 2, lines[3] ?? '', lines[2] ?? '')),
      says: { kind: 'reordered', line: 4 },
    },
    {
      what: 'duplicated',
      harm: (file, lines) => write(file, lines.toSpliced(3, 0, lines[2] ?? '')),
      says: { kind: 'duplicated', line: 4 },
    },
  ];
  const [file = ''] = worked.files;
  const lines = worked.linesOf(file);
  const seq = (at: number) => (JSON.parse(lines[at] ?? '') as AuditRecord).seq;
  const numbers = [seq(2), seq(2), seq(2), seq(2)];
  for (const [index, { what, harm, says }] of cases.entries()) {
    harm(file, lines);
    const { problems } = await verifyTrail(worked.place, worked.keys);
    t.match(problems, [{ ...says, file: basename(file), seq: numbers[index] }], what);
    t.equal(problems.length, 1, `${what}: one finding and no echo of it`);
    write(file, lines);
  }
  const last = worked.files.findLast((each) => basename(each).includes('-1.')) ?? '';
  const whole = worked.linesOf(last);
  write(last, whole.slice(0, 1));
  const { problems } = await verifyTrail(worked.place, worked.keys);
  t.match(problems, [{ kind: 'truncated', file: basename(last), line: 1 }]);
  t.equal((problems[0]?.to ?? 0) - (problems[0]?.seq ?? 0) + 1, whole.length - 1, 'all that is missing');
});

void test('a writer that was set back together with its head is found by what the others saw of it', async (t) => {
  const trail = new TrailFixture(join(t.testdir(), 'node'));
  const [victim, witness] = [trail.writer(), trail.writer()];
  await victim.append(trail.entries(3));
  await witness.append(trail.entries(3));
  const before = trail.killed();
  trail.clock.advance(60_000);
  await victim.append(trail.entries(3));
  await witness.append(trail.entries(1));
  await victim.finish();
  await witness.finish();
  t.match(await verifyTrail(trail.place, trail.keys), { ok: true });
  const name = basename(trail.files.find((file) => basename(file).includes('-1.')) ?? '');
  copyFileSync(join(before.directory, name), join(trail.directory, name));
  const head = `${name.split('.')[0]}.head`;
  copyFileSync(join(before.heads, head), join(trail.heads, head));
  const report: TrailReport = await verifyTrail(trail.place, trail.keys);
  t.match(report.problems[0], {
    kind: 'truncated',
    says: /the checkpoint \d+ of \S+-2 has seen this record/,
  });
});

void test('checkpoints that were kept elsewhere find a trail that was set back as a whole', async (t) => {
  const trail = new TrailFixture(join(t.testdir(), 'node'));
  const kept: { writer: string; seq: number; hash: string }[] = [];
  const writer = trail.writer({ signed: (facts) => kept.push(facts) });
  await writer.append(trail.entries(3));
  const before = trail.killed();
  trail.clock.advance(60_000);
  await writer.append(trail.entries(3));
  await writer.finish();
  const anchors = kept.map((facts) => ({ ...facts, by: 'the log' }));
  t.match(await verifyTrail(trail.place, trail.keys, anchors), { ok: true });
  t.match(await verifyTrail(before.place, before.keys), { ok: true }, 'without them nobody can tell');
  t.match(await verifyTrail(before.place, before.keys, anchors), {
    ok: false,
    problems: [{ kind: 'truncated', says: 'the log has seen this record' }],
  });
});
