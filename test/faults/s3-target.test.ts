/** A bucket of a real S3 service, Debian's Ceph, and what can go wrong with it: one start of it for everything. */
import { createHash } from 'node:crypto';
import tap, { test } from 'tap';

import type { BackupTarget } from '../../gateway/backup/backup-target.ts';
import { listUploads, listVersions } from '../../gateway/backup/s3-listing.ts';
import { openS3Target } from '../../gateway/backup/s3-target.ts';
import { namesOf, pieces, readAll, targetContract } from '../backup/target-contract.ts';
import { startS3Server } from '../support/s3-server.ts';
import { DAY_MS, MIB, collect, mebibytes, openBuckets } from './s3-buckets.ts';
import { s3Faults } from './s3-faults.ts';

const startedMs = performance.now();
const server = await startS3Server();
tap.teardown(() => server.stop());
tap.comment(`Ceph is ready after ${Math.round(performance.now() - startedMs)} ms`);
const { placeOf, quick, rawClient } = await openBuckets(server);

await test('a bucket keeps the contract of targets', async (t) => {
  await targetContract(t, quick({ prefix: 'contract/' }));
});

await test('a stream of several parts comes back whole, and its progress is told', async (t) => {
  const target = quick();
  const told: number[] = [];
  const written = await target.put('zasov-large.age', mebibytes(40), {
    onBytes: (bytes) => told.push(bytes),
  });
  const hash = createHash('sha256');
  for await (const chunk of target.read('zasov-large.age')) hash.update(chunk);
  t.equal(hash.digest('hex'), written.sha256);
  t.same(told, [12 * MIB, 24 * MIB, 36 * MIB, 40 * MIB]);
  t.same(await collect(listUploads(rawClient('plain'), '')), []);
  await t.rejects(target.put('zasov-large.age', mebibytes(17)), {
    code: 'backup_failed',
    message: /exists already/,
  });
  await target.remove('zasov-large.age');
});

await test('more names than one answer holds are all listed, in order', async (t) => {
  const client = rawClient('plain');
  const names = Array.from(
    { length: 1200 },
    (_, index) => `journal/${String(index).padStart(12, '0')}-a.age`,
  );
  const queue = [...names];
  const worker = async (): Promise<void> => {
    for (let name = queue.pop(); name !== undefined; name = queue.pop())
      await client.call({
        method: 'PUT',
        key: `many/${name}`,
        body: new Uint8Array(),
        what: 'put',
        permission: '',
      });
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  t.same(await namesOf(quick({ prefix: 'many/' }), 'journal/'), names);
});

await test('a locked archive cannot be removed, hidden or replaced with the credentials', async (t) => {
  const lock = { bucket: 'locked', objectLockMs: DAY_MS };
  const target = quick(lock);
  t.same(await target.warnings(), []);
  await target.put('zasov-a.age', pieces('good'));
  await target.put('zasov-large.age', mebibytes(17));
  t.equal(await target.remove('zasov-a.age'), 'locked');
  t.equal(await target.remove('zasov-large.age'), 'locked');
  const thief = rawClient('locked');
  const [version] = await collect(listVersions(thief, 'zasov-a.age'));
  const deletion = {
    method: 'DELETE',
    key: 'zasov-a.age',
    what: 'steal',
    permission: 's3:DeleteObject',
  } as const;
  await t.rejects(thief.call({ ...deletion, query: { versionId: version?.versionId ?? '' } }), {
    code: 'backup_failed',
    message: /access is denied/,
  });
  await thief.call({
    method: 'PUT',
    key: 'zasov-a.age',
    body: Buffer.from('evil'),
    what: 'steal',
    permission: '',
  });
  await thief.call(deletion);
  t.match(await target.list('zasov-'), [{ name: 'zasov-a.age', bytes: 4 }, { name: 'zasov-large.age' }]);
  t.equal((await readAll(target, 'zasov-a.age')).toString(), 'good');
  await t.rejects(target.put('zasov-a.age', pieces('other')), { message: /exists already/ });
});

await test('what is read without asking for a lock is what was there first, too', async (t) => {
  // As a restore opens the bucket, which no policy has told of the lock.
  const target = quick({ bucket: 'locked' });
  const found = await target.list('zasov-');
  t.match(found, [
    { name: 'zasov-a.age', bytes: 4, later: { written: 1, deleted: 1 } },
    { name: 'zasov-large.age', later: undefined },
  ]);
  t.equal((await readAll(target, 'zasov-a.age')).toString(), 'good');
  t.equal(
    (await readAll(quick({ bucket: 'locked' }), 'zasov-a.age')).toString(),
    'good',
    'nor after a listing',
  );
  t.same(await target.warnings(), []);
  await t.rejects(target.put('zasov-a.age', pieces('other')), { message: /exists already/ });
});

await test('a bucket that keeps versions without a lock is read in the same way, and emptied for good', async (t) => {
  await server.makeBucket('versioned', false);
  const thief = rawClient('versioned');
  const call = (method: 'PUT' | 'DELETE', key: string, body: string) =>
    thief.call({ method, key, body: Buffer.from(body), what: method, permission: '' });
  await call('PUT', 'zasov-old.age', 'from before versions were kept');
  await thief.call({
    method: 'PUT',
    query: { versioning: '' },
    body: Buffer.from('<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'),
    what: 'keep versions',
    permission: 's3:PutBucketVersioning',
  });
  const target = quick({ bucket: 'versioned' });
  await target.put('journal/000000000001-aaaaaaaa.age', pieces('segment'));
  await call('PUT', 'zasov-old.age', 'evil');
  await call('PUT', 'journal/000000000001-aaaaaaaa.age', 'evil');
  await call('DELETE', 'journal/000000000001-aaaaaaaa.age', '');
  t.match(await target.list('zasov-'), [{ name: 'zasov-old.age', later: { written: 1, deleted: 0 } }]);
  t.match(await target.list('journal/'), [{ bytes: 7, later: { written: 1, deleted: 1 } }]);
  t.equal((await readAll(target, 'zasov-old.age')).toString(), 'from before versions were kept');
  t.equal((await readAll(target, 'journal/000000000001-aaaaaaaa.age')).toString(), 'segment');
  t.equal(await target.remove('journal/000000000001-aaaaaaaa.age'), 'removed');
  t.equal(await target.remove('zasov-old.age'), 'removed');
  t.same(await collect(listVersions(thief, '')), []);
});

await test('when its lock has run out, an archive is removed with all that others put over it', async (t) => {
  const lock = { bucket: 'locked', objectLockMs: 2000, prefix: 'short/' };
  const target = quick(lock);
  const lockedMs = Date.now();
  await target.put('zasov-a.age', pieces('good'));
  t.equal(await target.remove('zasov-a.age'), 'locked');
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, lockedMs + 3500 - Date.now())));
  t.equal(await target.remove('zasov-a.age'), 'removed');
  t.same(await collect(listVersions(rawClient('locked'), 'short/')), []);
});

await test('a lock that the bucket does not have fails the copy before anything is written', async (t) => {
  const target = quick({ objectLockMs: DAY_MS });
  t.match(await target.warnings(), [/no object lock/]);
  await t.rejects(target.put('zasov-a.age', pieces('x')), {
    code: 'backup_failed',
    message: /no object lock/,
  });
  t.same(await namesOf(quick(), 'zasov-'), []);
});

await test('a refusal says what to do', async (t) => {
  const stranger = await server.makeStranger();
  const { accessKeyId } = server.credentials;
  const skewed = { now: () => Date.now() - 3_600_000 };
  const cases: [BackupTarget, RegExp][] = [
    [quick({ credentials: stranger }), /credentials lack s3:/],
    [
      quick({ credentials: { accessKeyId, secretAccessKey: 'bogus-one' } }),
      /signature does not match: the secret/,
    ],
    [quick({ credentials: { accessKeyId: 'NOBODY', secretAccessKey: 'x' } }), /does not know the access key/],
    [quick({ bucket: 'nothing-here' }), /there is no bucket nothing-here/],
    [openS3Target(placeOf(), { clock: skewed }), /clocks differ/],
    [quick({ endpoint: 'http://127.0.0.1:9' }), /cannot be reached \(ECONNREFUSED\)/],
    [quick({ endpoint: server.endpoint.replace('http', 'https') }), /TLS fails/],
    [quick({ endpoint: 'http://nowhere.invalid' }), /name of its host is not known/],
  ];
  for (const [target, message] of cases) {
    await t.rejects(target.list('zasov-'), { code: 'backup_failed', message });
    const error: unknown = await target.put('zasov-a.age', pieces('x')).catch((reason: unknown) => reason);
    t.match(error, { code: 'backup_failed' });
    t.notMatch(String(error), /secret-of|another-secret|bogus-one/, 'no secret is told');
  }
});

await s3Faults(server, { placeOf, quick, rawClient });
