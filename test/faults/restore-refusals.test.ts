/** What is not the archive that was written is refused, and where somebody else's state is in the way nothing is touched. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'tap';

import { eventually } from '../support/wire.ts';
import { LostSite } from './lost-site.ts';

await test('an archive that is not what was written is refused, and nothing is written', async (t) => {
  const site = await LostSite.open('embedded');
  site.issue('olga');
  const archive = await site.kit.archive();
  const newer = await site.kit.archive();
  const signer = site.kit.signer();
  const others = await LostSite.open('embedded');
  const foreign = await others.kit.archive(site.kit.recipient);
  await site.lose();
  await others.close();

  const bytes = readFileSync(archive);
  const changed = (change: (copy: Buffer) => Buffer) => {
    const file = join(site.target, `changed-${basename(archive)}`);
    writeFileSync(file, change(Buffer.from(bytes)));
    return file;
  };
  const flipped = (at: number) =>
    changed((copy) => {
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    });
  const middle = Math.floor(bytes.length / 2);
  const refused: Record<string, () => ReturnType<LostSite['restore']>> = {
    'one bit of the header': () => site.restore(flipped(60)),
    'one bit in the middle': () => site.restore(flipped(middle)),
    'one bit at the end': () => site.restore(flipped(bytes.length - 1)),
    'cut in the middle': () => site.restore(changed((copy) => copy.subarray(0, middle))),
    'cut by a byte': () => site.restore(changed((copy) => copy.subarray(0, -1))),
    'a byte more': () => site.restore(changed((copy) => Buffer.concat([copy, Buffer.from([0])]))),
    'parts swapped': () =>
      site.restore(
        changed((copy) => {
          const [one, other] = [copy.subarray(middle, middle + 64), copy.subarray(middle + 64, middle + 128)];
          const rest = [copy.subarray(0, middle), other, one, copy.subarray(middle + 128)];
          return Buffer.concat(rest.map((part) => Buffer.from(part)));
        }),
      ),
    nothing: () => site.restore(changed(() => Buffer.alloc(0))),
    'another recipient': () => site.zasov('restore', archive, '--identity', others.identity),
    'another signer': () => site.restore(foreign, '--signer', signer),
    'an older archive under its name': () => {
      const file = join(site.kept, basename(newer));
      cpSync(archive, file);
      return site.restore(file, '--signer', signer);
    },
    'no archive at all': () => site.restore(join(site.target, 'nothing.age')),
    'no identity': () => site.zasov('restore', archive, '--identity', join(site.policies, 'policy.yaml')),
  };
  for (const [what, attempt] of Object.entries(refused)) {
    const { code, stderr } = attempt();
    t.ok(code === 1 || code === 2, `${what}: ${code}`);
    t.match(stderr, /^zasov: .{10,}$/m, `${what}: ${stderr.split('\n').at(-2)}`);
    t.notMatch(stderr, /at .*\.ts:\d+/, 'no stack of ours');
    t.ok(await site.isEmpty(), `${what}: nothing is there`);
  }
  t.match(site.restore(archive, '--signer', signer), { code: 0 }, 'and the right one is not');
  t.notOk(await site.isEmpty());
  await site.close();
});

await test('where a gateway is, both administrators have to approve this very archive, once', async (t) => {
  const site = await LostSite.open('embedded');
  const key = site.issue('olga');
  const archive = await site.kit.archive();
  const later = site.issue('petr');
  t.match(site.restore(archive), { code: 1, stderr: /a gateway runs on .*: stop it first/ });
  const proposed = site.person('Anna', 'propose', 'restore', archive);
  t.equal(proposed.code, 0, proposed.stderr);
  const { id } = JSON.parse(proposed.stdout) as { id: string };
  await site.program.stop();
  const unapproved = site.restore(archive);
  t.match(unapproved, {
    code: 1,
    stderr: /there is a gateway in .* no approved proposal names this archive/,
  });
  await site.start();
  t.match(site.person('Boris', 'approve', id), { code: 0 });
  await eventually(() => Promise.resolve(site.proposalState(id) === 'done'), 20_000);
  await site.kit.journal();
  await site.program.stop();

  const other = join(site.target, `copy-${basename(archive)}`);
  cpSync(archive, other);
  const restored = site.restore(archive);
  t.equal(restored.code, 0, restored.stderr);
  t.match(restored.stderr, /Anna and Boris approved this archive/);
  const [kept = ''] = readdirSync(dirname(site.data)).filter((name) => name.includes('.before-restore-'));
  t.ok(existsSync(join(dirname(site.data), kept, 'records.db')), 'what was there is kept');
  t.match(restored.stderr, new RegExp(`kept in .*${kept}`));
  t.match(site.restore(archive), { code: 1, stderr: /was used already/ }, 'the approval is used up');
  await site.start();
  t.equal(await site.tryKey(key), 'ok');
  t.equal(await site.tryKey(later), 'ok', 'the journal has it');
  t.match(site.zasov('audit', 'verify'), { code: 0 });
  await site.close();
});

await test('a journal that is missing or has a hole brings keys back on hold, and they are released by hand', async (t) => {
  const site = await LostSite.open('embedded');
  const key = site.issue('olga');
  const archive = await site.kit.archive();
  const revoked = site.issue('petr');
  await site.kit.journal();
  site.revoke(revoked);
  await site.kit.journal();
  const fine = site.issue('rita');
  await site.kit.journal();
  await site.lose();
  const journal = join(site.target, 'journal');
  const segments = readdirSync(journal).toSorted();
  rmSync(join(journal, segments.at(-2) ?? ''));
  const restored = site.restore(archive, '--json');
  t.equal(restored.code, 0, restored.stderr);
  const events = restored.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; step?: string; says?: string; on_hold?: boolean });
  t.match(events.at(-1), { event: 'restored', on_hold: true });
  t.ok(events.some(({ event, step }) => event === 'warning' && step === 'journal'));
  t.ok(events.some(({ says }) => says?.includes('ON HOLD')));
  t.ok(events.some(({ event, step }) => event === 'warning' && step === 'admins'));
  await site.start();
  t.equal(await site.tryKey(key), 'key_held');
  t.equal(await site.tryKey(fine), 'key_held');
  t.match(site.zasov('keys', 'release', key.id), { code: 0 });
  t.equal(await site.tryKey(key), 'ok');
  t.equal(await site.tryKey(fine), 'key_held');
  t.match(site.zasov('keys', 'release', '--all'), { code: 0 });
  t.equal(await site.tryKey(fine), 'ok');
  await site.lose();
  rmSync(journal, { recursive: true });
  t.match(site.restore(archive), { code: 0, stderr: /THE JOURNAL IS NOT WHOLE/ });
  await site.close();
});
