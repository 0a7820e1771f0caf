/** A PostgreSQL of Debian's is a source of a backup: dumped, destroyed, restored; and a drill proves it elsewhere. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';

import { verifySignature } from '../../gateway/crypto/signing-key.ts';
import { drillText } from '../../gateway/backup/drill-report.ts';
import { startPostgres } from '../support/postgres.ts';
import { LostSite } from './lost-site.ts';

const postgres = await startPostgres();
tap.teardown(() => postgres.program.stop());
const { place, tool } = postgres;
const rows = "SELECT count(*), md5(string_agg(name, ',' ORDER BY id)) FROM customer";

postgres.sql('postgres', 'CREATE DATABASE crm');
postgres.sql(
  'crm',
  "CREATE TABLE customer AS SELECT n AS id, 'Клиент ' || md5(n::text) AS name FROM generate_series(1, 20000) n",
);
const before = postgres.sql('crm', rows);
const list = (words: readonly string[]) => JSON.stringify(words);
const dump = [tool('pg_dump'), ...place, '-Fc', 'crm'];
const restore = [tool('pg_restore'), ...place, '--create', '--exit-on-error', '-d', 'postgres'];

await test('a database is dumped with the state, destroyed, and restored with it', async (t) => {
  const site = await LostSite.open('embedded');
  const key = site.issue('olga');
  // A gateway that runs would back up to the same place by itself, with a journal of its own.
  await site.program.stop();
  site.include([{ name: 'crm-db', dump, restore }]);
  const archive = await site.kit.archive();
  await site.kit.journal();
  postgres.sql('postgres', 'DROP DATABASE crm');
  await site.lose();

  const drilled = site.zasov('backup', 'drill', archive, '--identity', site.identity);
  t.equal(drilled.code, 0, drilled.stderr);
  const [name = ''] = readdirSync(join(site.target, 'drills'));
  const { signature, ...report } = JSON.parse(readFileSync(join(site.target, 'drills', name), 'utf8')) as {
    signature: string;
    signer: string;
    took_ms: number;
    audit_records: number;
  };
  t.match(report, { format: 1, keys: 1, includes: [], includes_read: ['crm-db'] });
  t.ok(report.took_ms > 0 && report.audit_records > 0);
  t.ok(verifySignature(report.signer, drillText(report), signature), 'the report is signed');
  t.ok(await site.isEmpty(), 'a drill touches nothing');

  const text = readFileSync(join(site.policies, 'policy.yaml'), 'utf8');
  writeFileSync(join(site.policies, 'policy.yaml'), text.replace(list(restore), list(['/bin/false'])));
  const failed = site.restore(archive);
  t.equal(failed.code, 1);
  t.match(failed.stderr, /crm-db/);
  t.ok(await site.isEmpty(), 'a source that cannot be restored leaves nothing');
  writeFileSync(join(site.policies, 'policy.yaml'), text);

  const restored = site.restore(archive);
  t.equal(restored.code, 0, restored.stderr);
  t.match(restored.stderr, /^include {2}crm-db: .*pg_restore/m);
  t.equal(postgres.sql('crm', rows), before, 'every row is back');
  await site.start();
  t.equal(await site.tryKey(key), 'ok');
  await site.lose();
  const without = site.restore(archive, '--skip-include', 'crm-db');
  t.match(without, { code: 0, stderr: /WARNING include {2}the source crm-db is not restored/ });
  await site.close();
});
