import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'tap';

import {
  findRestorePlace,
  openStaging,
  publish,
  removeStaging,
  settle,
  UNFINISHED_FILE,
} from '../../gateway/backup/restore-place.ts';

import { temporaryDirectory } from '../support/start-gateway.ts';

const AT_MS = Date.UTC(2026, 10, 26, 3, 0, 0);

/** Makes a place ready with one file in it. */
async function ready(data: string, isFixed = false) {
  const found = await findRestorePlace(data);
  const place = isFixed ? { ...found, isFixed, staging: join(data, '.restore') } : found;
  await openStaging(place);
  writeFileSync(join(place.staging, 'records.db'), 'restored');
  return place;
}

void test('what is made ready takes the place of nothing, or of an empty directory', async (t) => {
  for (const data of [join(t.testdir({}), 'none'), t.testdir({ empty: {} }) + '/empty']) {
    const place = await ready(data);
    t.match(place, { isEmpty: true, isGateway: false, isUnfinished: false });
    t.equal(await publish(place, AT_MS, false), undefined);
    t.same(readdirSync(data), ['records.db']);
    t.notOk(existsSync(place.staging));
  }
});

void test('what was there is kept under a name with the time, and never overwritten', async (t) => {
  const data = join(t.testdir({}), 'data');
  mkdirSync(data);
  writeFileSync(join(data, 'records.db'), 'before');
  t.equal((await findRestorePlace(data)).isGateway, true);
  const kept = await publish(await ready(data), AT_MS, false);
  t.equal(kept, `${data}.before-restore-20261126T030000Z`);
  t.equal(readFileSync(join(kept ?? '', 'records.db'), 'utf8'), 'before');
  t.equal(readFileSync(join(data, 'records.db'), 'utf8'), 'restored');
  const again = await publish(await ready(data), AT_MS, false);
  t.not(again, kept);
  t.equal(readFileSync(join(kept ?? '', 'records.db'), 'utf8'), 'before');
});

void test('a volume, which cannot be renamed, is filled under a mark that is removed last', async (t) => {
  const data = t.testdir({ 'lost+found': {} });
  const place = await ready(data, true);
  t.equal(await publish({ ...place, isEmpty: true }, AT_MS, false), undefined);
  t.same(readdirSync(data).toSorted(), ['lost+found', 'records.db']);
  const kept = await publish({ ...(await ready(data, true)), isEmpty: false }, AT_MS, false);
  t.equal(kept, join(data, 'before-restore-20261126T030000Z'));
  t.same(readdirSync(kept ?? ''), ['records.db']);
});

void test('an interrupted volume is no gateway: the next restore begins anew', async (t) => {
  const data = t.testdir({ [UNFINISHED_FILE]: '', 'records.db': 'half', admin: {} });
  const place = await ready(data, true);
  t.match(place, { isUnfinished: true, isGateway: false });
  t.equal(await publish(place, AT_MS, false), undefined, 'half a restore is not worth keeping');
  t.same(readdirSync(data), ['records.db']);
});

void test('with a shared store the mark stays until that is filled too', async (t) => {
  const data = join(t.testdir({}), 'data');
  await publish(await ready(data), AT_MS, true);
  t.same(readdirSync(data).toSorted(), ['records.db', UNFINISHED_FILE]);
  t.match(await findRestorePlace(data), { isUnfinished: true, isGateway: false });
  await settle(data);
  t.match(await findRestorePlace(data), { isUnfinished: false, isGateway: true });
});

void test('what a killed restore left beside it is removed, that of a living one is not touched', async (t) => {
  const data = join(t.testdir({}), 'data');
  const place = await ready(data);
  writeFileSync(join(place.staging, 'restore.pid'), '999999999');
  writeFileSync(join(place.staging, 'left'), '');
  await openStaging(await findRestorePlace(data));
  t.notOk(existsSync(join(place.staging, 'left')));
  const other = spawn('sleep', ['60']);
  writeFileSync(join(place.staging, 'restore.pid'), String(other.pid));
  await t.rejects(findRestorePlace(data), { code: 'restore_refused', message: /another restore/ });
  other.kill('SIGKILL');
  await once(other, 'exit');
  await removeStaging(await findRestorePlace(data));
  t.notOk(existsSync(place.staging));
});

void test('a gateway that runs there has to be stopped first', async (t) => {
  // The path of a socket is short.
  const data = temporaryDirectory();
  const socket = join(data, 'control.sock');
  const server = createServer().listen(socket);
  await once(server, 'listening');
  await t.rejects(findRestorePlace(data), { code: 'restore_refused', message: /stop it first/ });
  server.close();
  await once(server, 'close');
  t.match(await findRestorePlace(data), { isGateway: false });
});
