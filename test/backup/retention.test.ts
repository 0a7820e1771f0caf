import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { archiveName } from '../../gateway/backup/archive-format.ts';
import type { BackupTarget } from '../../gateway/backup/backup-target.ts';
import { openDirectoryTarget } from '../../gateway/backup/directory-target.ts';
import { type HeldArchive, applyRetention, chooseExpired } from '../../gateway/backup/retention.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import {
  array,
  assert,
  boolean,
  constantFrom,
  integer,
  option,
  property,
  record,
} from '../support/property-based.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { namesOf, pieces } from './target-contract.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 10, 26);

function archive(daysAgo: number, change: Partial<HeldArchive> = {}): HeldArchive {
  const createdMs = NOW_MS - daysAgo * DAY_MS;
  const kind = change.kind ?? 'fleet';
  const name = archiveName({ kind, id: 'aaaaaaaa', createdMs });
  return { name, kind, node: 'a', createdMs, journalSeq: 1000 - daysAgo, isGood: true, ...change };
}

void test('so many good archives are kept, and the rest is named from the oldest on', (t) => {
  const archives = [0, 3, 1, 2, 4].map((days) => archive(days));
  const rule = { keep: 3, nowMs: NOW_MS };
  t.same(chooseExpired(archives, rule), [archive(4).name, archive(3).name]);
  t.same(chooseExpired(archives, { ...rule, keepForMs: 3.5 * DAY_MS }), [archive(4).name]);
  t.same(chooseExpired(archives, { ...rule, keepForMs: 30 * DAY_MS }), []);
  t.same(chooseExpired(archives.slice(0, 3), rule), []);
  t.end();
});

void test('a failed copy takes no place of a good one, and goes with those of its time', (t) => {
  const failed = [0, 1, 2].map((days) => archive(days + 0.5, { isGood: false, name: `failed-${days}` }));
  const good = [3, 4].map((days) => archive(days));
  t.same(chooseExpired([...failed, ...good], { keep: 2, nowMs: NOW_MS }), []);
  t.same(chooseExpired([...failed, archive(0), archive(1)], { keep: 2, nowMs: NOW_MS }), [
    'failed-2',
    'failed-1',
  ]);
  t.same(chooseExpired(failed, { keep: 1, nowMs: NOW_MS }), [], 'where none is good, nothing goes');
  t.end();
});

void test('an archive that a wrong clock dated into the future expires nothing', (t) => {
  const archives = [archive(-300), archive(0), archive(1)];
  t.same(chooseExpired(archives, { keep: 1, nowMs: NOW_MS }), [archive(1).name]);
  t.end();
});

void test('every node keeps as many of its own, beside those of the fleet', (t) => {
  const ofNode = (node: string, days: number): HeldArchive =>
    archive(days, { kind: 'node', node, name: `${node}${days}` });
  const archives = [archive(9), ofNode('b', 8), ofNode('c', 1), ofNode('c', 0), ofNode('c', 2)];
  t.same(chooseExpired(archives, { keep: 1, nowMs: NOW_MS }), ['c2', 'c1']);
  t.end();
});

void test('whatever the archives are: the last good one stays, enough stay, and nothing young goes', (t) => {
  const held = record({
    hoursAgo: integer({ min: -48, max: 24 * 60 }),
    kind: constantFrom<('fleet' | 'node')[]>('fleet', 'node'),
    node: constantFrom('a', 'b'),
    isGood: boolean(),
    seq: integer({ min: 0, max: 999 }),
  });
  const rules = record({
    keep: integer({ min: 0, max: 8 }),
    keepForDays: option(integer({ min: 1, max: 40 })),
  });
  assert(
    property(array(held, { maxLength: 40 }), rules, (drawn, { keep, keepForDays }) => {
      const archives = drawn.map(({ hoursAgo, seq, ...rest }, index) => ({
        ...rest,
        name: `n${index}`,
        createdMs: NOW_MS - hoursAgo * 3_600_000,
        journalSeq: seq,
      }));
      const keepForMs = keepForDays === null ? undefined : keepForDays * DAY_MS;
      const rule = { keep, keepForMs, nowMs: NOW_MS };
      const expired = new Set(chooseExpired(archives, rule));
      const gone = archives.filter(({ name }) => expired.has(name));
      const kept = archives.filter(({ name }) => !expired.has(name));
      const mayGo = (each: HeldArchive): boolean => {
        const same = kept.filter((other) => other.kind === each.kind && other.isGood);
        if (!each.isGood) return same.length > 0 && same.every(({ createdMs }) => createdMs > each.createdMs);
        const own = same.filter((other) => each.kind === 'fleet' || other.node === each.node);
        const younger = own.filter(({ createdMs }) => createdMs >= each.createdMs && createdMs <= NOW_MS);
        return younger.length >= Math.max(1, keep);
      };
      if (!gone.every(mayGo)) return false;
      if (gone.some(({ createdMs }) => createdMs >= NOW_MS - (keepForMs ?? 0))) return false;
      // Whatever is kept of old good ones is within the count.
      const old = kept.filter(
        (each) => each.isGood && each.kind === 'fleet' && each.createdMs < NOW_MS - (keepForMs ?? 0),
      );
      return old.length <= Math.max(1, keep) && chooseExpired(kept, rule).length === 0;
    }),
    { numRuns: 500 },
  );
  t.end();
});

async function fill(target: BackupTarget, archives: readonly HeldArchive[]): Promise<void> {
  for (const { name } of archives) {
    await target.put(name, pieces('x'));
    await target.put(`${name}.json`, pieces('{}'));
  }
}

void test('what expired goes with its note, and the journal is needed from the oldest kept one on', async (t) => {
  const directory = temporaryDirectory();
  const target = openDirectoryTarget(directory, { clock: systemClock });
  const archives = [0, 1, 2, 3].map((days) => archive(days));
  await fill(target, archives);
  const orphan = `${archive(9).name}.json`;
  const recent = `${archive(8).name}.json`;
  for (const name of [orphan, recent, 'zasov-other.json']) {
    await target.put(name, pieces('{}'));
    utimesSync(
      join(directory, name),
      NOW_MS / 1000,
      name === recent ? NOW_MS / 1000 : NOW_MS / 1000 - 2 * 86_400,
    );
  }
  t.same(await applyRetention(target, archives, { keep: 2, nowMs: NOW_MS }), {
    removed: [archive(3).name, archive(2).name],
    locked: [],
    journalBeforeSeq: 999,
  });
  t.same(
    await namesOf(target),
    [
      archive(1).name,
      `${archive(1).name}.json`,
      archive(0).name,
      `${archive(0).name}.json`,
      recent,
      'zasov-other.json',
    ].toSorted(),
  );
});

void test('what is due and locked keeps its note and its journal', async (t) => {
  const target = openDirectoryTarget(temporaryDirectory(), { clock: systemClock });
  const archives = [0, 1, 2].map((days) => archive(days));
  await fill(target, archives);
  const locking: BackupTarget = {
    ...target,
    remove: async (name) => (name === archive(2).name ? 'locked' : await target.remove(name)),
  };
  t.same(await applyRetention(locking, archives, { keep: 1, nowMs: NOW_MS }), {
    removed: [archive(1).name],
    locked: [archive(2).name],
    journalBeforeSeq: 998,
  });
  t.ok((await namesOf(target)).includes(`${archive(2).name}.json`));
});

void test('a kept archive whose position is not known keeps the whole journal', async (t) => {
  const target = openDirectoryTarget(temporaryDirectory(), { clock: systemClock });
  const archives = [archive(0), archive(1, { journalSeq: undefined })];
  const report = await applyRetention(target, archives, { keep: 5, nowMs: NOW_MS });
  t.equal(report.journalBeforeSeq, undefined);
});
