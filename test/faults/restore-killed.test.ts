/** kill -9 of a restore into Redis where it is most in between: nothing is served from halves, and the same command does the rest. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Test, test } from 'tap';

import { newLineage } from '../../gateway/api-key/key-format.ts';
import { UNFINISHED_FILE } from '../../gateway/backup/restore-place.ts';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { eventually } from '../support/wire.ts';
import { LostSite } from './lost-site.ts';

/** So many that loading them takes several rounds. */
const KEYS = 1200;

const site = await LostSite.open('redis');
const key = site.issue('olga');
const revoked = site.issue('petr');
site.revoke(revoked);
await site.program.stop();
await addKeys();
const archive = await site.kit.archive();
await site.kit.journal();
await site.lose();

/** Keys of nobody, beside those that were issued. */
async function addKeys(): Promise<void> {
  const store = await openRedisStore({ place: { kind: 'single', url: site.redis?.url ?? '' } });
  const one = () =>
    store.keys.write({
      lineage: newLineage(),
      version: 1,
      person: 'nobody',
      dueMs: Date.now() + 86_400_000,
      body: randomBytes(600),
    });
  for (let from = 0; from < KEYS; from += 400) await Promise.all(Array.from({ length: 400 }, one));
  await store.close();
}

/** Starts the restore, and kills it as soon as something holds. */
async function killedWhen(isSo: (told: string) => boolean | Promise<boolean>): Promise<void> {
  const words = ['restore', archive, '--identity', site.identity, '--policies', site.policies];
  const child: ChildProcess = spawn(
    process.execPath,
    ['gateway/zasov.mjs', ...words, '--data', site.data, '--json'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'exit');
  let told = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (told += text));
  await eventually(() => isSo(told), 20_000);
  child.kill('SIGKILL');
  await ended;
}

const redis = async (...words: string[]) => await site.redis?.command(...words);
const serve = () => site.zasov('serve', '--policies', site.policies);
const isMarked = () => existsSync(join(site.data, UNFINISHED_FILE));

async function doTheRest(t: Test): Promise<void> {
  const again = site.restore(archive);
  t.equal(again.code, 0, again.stderr);
  await site.start();
  t.equal(await site.tryKey(key), 'ok');
  t.equal(await site.tryKey(revoked), 'key_revoked');
  await site.program.stop();
}

await test('killed in the middle of the load into Redis', async (t) => {
  await killedWhen(async () => Number(await redis('DBSIZE')) > KEYS / 3);
  const size = Number(await redis('DBSIZE'));
  t.ok(size < KEYS, `with ${size} keys of Redis written`);
  t.notOk(existsSync(site.data), 'the data directory is not there');
  t.match(serve(), { code: 1, stderr: /run the restore again/ });
  t.notOk(existsSync(site.data), 'nor made by who tried to serve from it');
  mkdirSync(join(site.data, 'audit-heads'), { recursive: true });
  t.match(site.restore(archive), {
    code: 1,
    stderr: /holds half of a restore, and .* is not of it: move .* away and run this again/,
  });
  rmSync(site.data, { recursive: true });
  await doTheRest(t);
  await site.lose();
});

await test('killed between its last rename and its end', async (t) => {
  for (let tries = 0; !isMarked() && tries < 5; tries += 1) {
    if (tries > 0) await site.lose();
    let isPaused = false;
    await killedWhen(async (told) => {
      // Redis takes no writes from here on, so that the mark on it cannot be taken off.
      if (!isPaused && told.includes('"step":"audit"')) await redis('CLIENT', 'PAUSE', '60000', 'WRITE');
      isPaused ||= told.includes('"step":"audit"');
      return told.includes('"step":"store"');
    });
    await redis('CLIENT', 'UNPAUSE');
  }
  t.ok(isMarked(), 'everything is in its place, but the mark on it');
  t.match(serve(), {
    code: 1,
    stderr: /restore into .* was interrupted.* run the same zasov restore command again/,
  });
  await doTheRest(t);
});

await test('killed between the mark on Redis and the one on the directory', async (t) => {
  writeFileSync(join(site.data, UNFINISHED_FILE), '');
  t.match(serve(), { code: 1, stderr: /run the same zasov restore command again/ });
  await doTheRest(t);
  await site.close();
});
