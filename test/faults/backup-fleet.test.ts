/** Two gateways on one Redis with one target: who makes what, who follows whom, and what comes back after losing all. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import tap, { test } from 'tap';

import { headsDirectory } from '../../gateway/audit/trail-head.ts';
import { nodeName } from '../../gateway/audit/writer-slot.ts';
import { parseArchiveName } from '../../gateway/backup/archive-format.ts';
import { openDirectoryTarget } from '../../gateway/backup/directory-target.ts';
import { readArchive } from '../../gateway/backup/read-archive.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { eventually } from '../support/wire.ts';
import { BackedUp, type Member } from './backed-up.ts';
import type { Issued } from './lost-site.ts';

/** Another gateway takes an archive over after 30 s of silence, and looks every five. */
const FOLLOWED_MS = 45_000;

const site = await BackedUp.open('redis');
const one = await site.start('one');
const two = await site.start('two');
tap.teardown(async () => {
  await Promise.all([one, two].map(({ program }) => program.kill()));
  await site.redis?.kill();
});

const JOURNAL = 'zasov_backup_rpo_seconds{part="journal"}';

/** Waits until so many periods are made. */
async function made(periods: number): Promise<void> {
  const counts = () => [site.archives('fleet').length, site.archives('node').length];
  await eventually(
    () => counts().every((count) => count >= periods),
    20_000,
    () => `period ${periods} (${counts().join()})`,
  );
}

/** Paths in an archive, and from which chains its audit trail is. */
async function contentsOf(archive: string): Promise<{ paths: string[]; writers: Set<string> }> {
  const identities = [readFileSync(site.identity, 'utf8').trim()];
  const paths: string[] = [];
  await readArchive(
    openDirectoryTarget(site.target, { clock: systemClock }).read(archive),
    { identities },
    async ({ path }) => void paths.push(path),
  );
  const writers = paths.flatMap((path) => /^audit\/trail\/([0-9a-f]{8})/.exec(path)?.[1] ?? []);
  return { paths, writers: new Set(writers) };
}

const nodeOf = ({ data }: Member): string => nodeName(headsDirectory(data));

await test('in each period a fleet makes one archive, and each other gateway one of its own trail and certificates', async (t) => {
  await made(1);
  await site.passPeriod();
  await made(2);
  // Both look every five seconds.
  await pause(6000);
  t.equal(site.archives('fleet').length, 2);
  t.equal(site.archives('node').length, 2);
  t.same(site.halves(), []);
  const both = [nodeOf(one), nodeOf(two)].toSorted();
  t.equal(new Set(both).size, 2);
  for (let period = 0; period < 2; period += 1) {
    const fleet = await contentsOf(site.archives('fleet')[period] ?? '');
    const node = await contentsOf(site.archives('node')[period] ?? '');
    t.same([...fleet.writers, ...node.writers].toSorted(), both, 'the trail of each is in one of the two');
    for (const { paths } of [fleet, node])
      t.ok(
        paths.some((path) => /^data\/.*\.crt$|^data\/.*\.pem$/.test(path)),
        'with its certificates',
      );
    t.ok(
      fleet.paths.some((path) => path.startsWith('include/slow/')),
      'with the source',
    );
    t.notOk(
      node.paths.some((path) => /^(?:store|include)\//.test(path)),
      'the state is in the archive of the fleet',
    );
  }
});

const keys: Record<string, Issued> = {};

await test('a gateway that is killed with the lease and the journal is followed in both, and nothing half is named', async (t) => {
  for (const name of ['active', 'before', 'after']) keys[name] = site.key(one, 'issue', name);
  await site.journaled(one);
  const held = await Promise.all([one, two].map((each) => site.metric(each, JOURNAL)));
  t.same(held.map(Number.isNaN), [false, true], 'the first one writes the journal');
  writeFileSync(site.brake, '');
  // The other one is away while the period begins, so that it is the first one again that makes the archive.
  process.kill(two.program.pid, 'SIGSTOP');
  await site.passPeriod();
  await eventually(async () => (await site.running(one)) === 'fleet', 8000);
  process.kill(two.program.pid, 'SIGCONT');
  site.key(one, 'revoke', keys['before']?.id ?? '');
  await site.journaled(one);
  const { length } = site.archives('fleet');
  await one.program.kill();
  const killedMs = performance.now();

  await eventually(async () => !Number.isNaN(await site.metric(two, JOURNAL)), 13_000);
  t.comment(`the journal was taken over after ${Math.round(performance.now() - killedMs)} ms`);
  site.key(two, 'revoke', keys['after']?.id ?? '');
  t.comment(`what was revoked then was away after ${await site.journaled(two)} ms`);
  t.equal(site.archives('fleet').length, length);
  t.same(site.halves(), []);
  await eventually(async () => (await site.running(two)) === 'fleet', FOLLOWED_MS);
  t.comment(`the archive was taken over after ${Math.round(performance.now() - killedMs)} ms`);
  t.equal(await site.metric(two, 'zasov_backup_failures_total{reason="cut_off"}'), 1);
  rmSync(site.brake);
  await eventually(() => site.archives('fleet').length > length, 15_000);
  const [last = ''] = site.archives('fleet').slice(-1);
  const madeS = (parseArchiveName(last)?.createdMs ?? 0) / 1000;
  const succeeded = 'zasov_backup_last_success_timestamp_seconds';
  await eventually(
    async () => (await site.metric(two, succeeded)) === madeS,
    5000,
    () => 'a metric of it',
  );
  await pause(6000);
  t.equal(site.archives('fleet').length, length + 1, 'and it is made once');
  t.same(site.halves(), []);
  t.match(site.zasov(two.data, 'backup', 'verify'), { code: 0 });
});

const FIRST_LIFE = { active: 'ok', before: 'key_revoked', after: 'key_revoked' };
let archive = '';
let firstLife = 0;
let three: Member;

await test('after losing all of it an archive of before the take-over brings back what was revoked on both sides of it', async (t) => {
  archive = site.archives('fleet')[1] ?? '';
  firstLife = site.archives('fleet').length;
  await site.lose(one, two);
  const restored = site.restore(archive, 'three');
  t.equal(restored.code, 0, restored.stderr);
  t.match(restored.stderr, /the journal is whole/);
  three = await site.start('three');
  tap.teardown(() => three.program.kill());
  t.same(await site.tryKeys(three, keys), FIRST_LIFE);
  const trail = site.verifyTrail(three);
  t.equal(trail.code, 0, trail.stdout + trail.stderr);
});

await test('what is revoked in a second life stays revoked, whichever archive comes back after losing all again', async (t) => {
  await eventually(() => site.archives('fleet').length > firstLife, 15_000);
  t.same(site.halves(), []);
  for (const name of ['second', 'last']) keys[name] = site.key(three, 'issue', name);
  await site.journaled(three);
  site.key(three, 'revoke', keys['last']?.id ?? '');
  await site.journaled(three);
  await site.lose(three);
  for (const [name, from] of Object.entries({ four: archive, five: site.archives('fleet').at(-1) ?? '' })) {
    const restored = site.restore(from, name);
    t.equal(restored.code, 0, restored.stderr);
    t.match(restored.stderr, /the journal is whole/);
    const next = await site.start(name);
    t.same(await site.tryKeys(next, keys), { ...FIRST_LIFE, second: 'ok', last: 'key_revoked' }, name);
    const trail = site.verifyTrail(next);
    t.equal(trail.code, 0, trail.stdout + trail.stderr);
    await site.lose(next);
  }
});
