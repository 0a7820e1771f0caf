/**
 * A real gateway whose backups are in a locked bucket of a real S3 service. Somebody steals the credentials, writes over
 * everything and deletes it; then the gateway and its machine are lost, and the bucket alone brings it back.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';

import type { S3Client } from '../../gateway/backup/s3-client.ts';
import { namesOf, readAll } from '../backup/target-contract.ts';
import { startS3Server } from '../support/s3-server.ts';
import { eventually } from '../support/wire.ts';
import { LostSite } from './lost-site.ts';
import { DAY_MS, openBuckets } from './s3-buckets.ts';

const PREFIX = 'site-1/';
const server = await startS3Server();
tap.teardown(() => server.stop());
const { quick, rawClient } = await openBuckets(server);
const target = quick({ bucket: 'locked', prefix: PREFIX, objectLockMs: DAY_MS });
// As an operator has them: for the gateway in its policies' default, and for a restore.
Object.assign(process.env, {
  AWS_ENDPOINT_URL: server.endpoint,
  AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
});
const site = await LostSite.open('embedded');
tap.teardown(() => site.close());
appendFileSync(
  join(site.policies, 'policy.yaml'),
  `\nbackup:
  at: "03:00"
  recipients: ["${site.kit.recipient}"]
  to: { s3: { endpoint: "${server.endpoint}", bucket: locked, prefix: ${PREFIX}, object_lock: 1d } }\n`,
);

const json = (...words: string[]): unknown => {
  const { code, stdout, stderr } = site.zasov(...words, '--json');
  if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
  return JSON.parse(stdout);
};
const backUp = (): string => (json('backup', 'now') as { archive: string }).archive;
/** Waits until the target has everything that happened until now. */
async function journaled(): Promise<void> {
  const nowMs = Date.now();
  const isThere = async () =>
    Date.now() - 1000 * (await site.metric('zasov_backup_journal_lag_seconds')) > nowMs;
  await eventually(isThere, 20_000);
}

/** Puts other bytes under a name, as whoever has the credentials can. */
const overwrite = (thief: S3Client, name: string, body: Uint8Array) =>
  thief.call({ method: 'PUT', key: PREFIX + name, body, what: 'write over', permission: 's3:PutObject' });
const remove = (thief: S3Client, name: string) =>
  thief.call({ method: 'DELETE', key: PREFIX + name, what: 'delete', permission: 's3:DeleteObject' });

const keys = {
  active: site.issue('olga'),
  revoked: site.issue('petr'),
  revokedLater: site.issue('rita'),
};
let archive = '';
let older = '';

await test('a backup goes into a locked bucket, is listed and read back, and the journal with it', async (t) => {
  t.match(site.zasov('reload'), { code: 0 });
  older = backUp();
  site.revoke(keys.revoked);
  archive = backUp();
  t.match(json('backup', 'list'), [
    { archive: older, signed: 'ours', overwritten: 0, deleted: 0 },
    { archive, signed: 'ours', overwritten: 0, deleted: 0 },
  ]);
  site.revoke(keys.revokedLater);
  await journaled();
  t.ok((await namesOf(target, 'journal/')).length > 0);
  t.equal(await target.remove(archive), 'locked');
});

await test('what a thief writes over or deletes stays what it was, and is on record at once', async (t) => {
  const thief = rawClient('locked');
  const segments = await namesOf(target, 'journal/');
  const [first = ''] = segments;
  const oldArchive = await readAll(target, older);
  const oldSegment = await readAll(target, first);
  // Something that was good once, and is signed by the right key.
  await overwrite(thief, archive, oldArchive);
  await remove(thief, archive);
  await remove(thief, `${archive}.json`);
  await overwrite(thief, older, Buffer.from('garbage'));
  for (const [index, name] of segments.entries()) {
    if (index % 2 === 0) await remove(thief, name);
    else await overwrite(thief, name, index % 4 === 1 ? oldSegment : Buffer.from('garbage'));
  }
  t.match(json('backup', 'list'), [
    { archive: older, signed: 'ours', overwritten: 1, deleted: 0 },
    { archive, signed: 'ours', overwritten: 1, deleted: 2 },
  ]);
  const verified = site.zasov('backup', 'verify');
  t.equal(verified.code, 0, 'they are good');
  t.match(verified.stderr, new RegExp(`WARNING ${archive} was written over once and deleted once`));
  await eventually(() => site.program.output.stderr.includes('somebody wrote over backups'), 10_000);
  t.match(json('status'), { backup: { warnings: [/was written over/] } });
  t.match(site.zasov('audit', 'tail', '--event', 'backup.overwritten').stdout, /names=3/);
  t.equal(await site.metric('zasov_backup_overwritten_names'), 3, 'two archives and a note');
  backUp();
  t.equal(
    await site.metric('zasov_backup_overwritten_names'),
    3 + segments.length,
    'the journal is looked at when an archive is made',
  );
});

await test('after kill -9 and the loss of the machine the bucket brings it back, and nothing that was revoked', async (t) => {
  const signer = site.zasov('backup', 'signer').stdout.trim();
  const last = site.issue('sergei');
  site.revoke(last);
  await journaled();
  await site.lose();
  const restored = site.restore(`s3://locked/${PREFIX}${archive}`, '--signer', signer, '--json');
  t.equal(restored.code, 0, restored.stderr);
  const events = restored.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; step?: string; says?: string });
  const warnings = events.filter(({ event }) => event === 'warning');
  t.match(warnings[0], {
    step: 'archive',
    says: new RegExp(`^${archive} was written over once and deleted`),
  });
  t.match(warnings.slice(1), [{ step: 'journal', says: /^journal\/\d+-\w+\.age was / }]);
  t.match(events.at(-1), { event: 'restored', archive, on_hold: false });
  await site.start();
  t.same(
    {
      active: await site.tryKey(keys.active),
      revoked: await site.tryKey(keys.revoked),
      revokedLater: await site.tryKey(keys.revokedLater),
      last: await site.tryKey(last),
    },
    { active: 'ok', revoked: 'key_revoked', revokedLater: 'key_revoked', last: 'key_revoked' },
  );
});
