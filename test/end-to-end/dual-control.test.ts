/** The two administrators with real processes: the commands of two people, the file of one operator, restarts. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { test } from 'tap';

import { auditEvents } from '../support/admin-gateway.ts';
import { eventually } from '../support/wire.ts';
import { Installation } from './two-people.ts';

await test('a changed list is a wish until both have signed it, and said everywhere', async (t) => {
  const place = new Installation();
  await place.start(place.policy(['Anna', 'Boris']));
  t.same(place.names(), ['Anna', 'Boris']);
  place.write(place.policy(['Anna', 'Carl']));
  t.equal(place.zasov('reload').code, 0);
  t.same(place.names(), ['Anna', 'Boris']);
  t.match(place.overview().policy, [{ name: 'Anna' }, { name: 'Carl' }]);
  t.match(place.zasov('admins', 'list').stdout, /the policy names others/);
  t.match(await place.readiness(), { status: 200, checks: { administrators: /names other administrators/ } });
  t.equal(await place.metric(/^zasov_admins_policy_differs (\d+)$/m), '1');
  t.match(place.gateway.program.output.stderr, /the policy names other administrators/);

  t.match(
    place.person('Carl', 'propose', 'replace_administrators'),
    { code: 1 },
    'who is not enrolled is nobody',
  );
  const proposed = place.person('Anna', 'propose', 'replace_administrators');
  t.equal(proposed.code, 0, proposed.stderr);
  const { id, words, hash } = JSON.parse(proposed.stdout) as { id: string; words: string[]; hash: string };
  t.match(words, [/^Boris .* is no longer/, /^Carl .* becomes/]);
  t.equal(await place.metric(/^zasov_approvals_pending (\d+)$/m), '1');
  t.match(place.person('Anna', 'propose', 'replace_administrators'), { code: 1, stderr: /another proposal/ });
  t.match(place.person('Anna', 'approve', id), { code: 1, stderr: /second signature counts for nothing/ });
  t.match(place.zasov('admins', 'approve', id), { code: 2 }, 'nobody without a key of their own');
  t.same(place.names(), ['Anna', 'Boris']);

  const approved = place.person('Boris', 'approve', id);
  t.equal(approved.code, 0, approved.stderr);
  t.equal((JSON.parse(approved.stdout) as { hash: string }).hash, hash, 'the same hash for both');
  await eventually(() => Promise.resolve(place.names().includes('Carl')), 20_000);
  t.match(place.person('Boris', 'propose', 'replace_administrators'), { code: 1 }, 'he is out at once');
  t.match(await place.readiness(), { checks: { administrators: true } });

  await place.gateway.program.kill();
  await place.start(place.policy(['Anna', 'Boris']));
  t.same(place.names(), ['Anna', 'Carl'], 'an old policy brings nobody back');
  await place.gateway.program.stop();
  await place.start(place.policy(undefined));
  t.same(place.names(), ['Anna', 'Carl'], 'nor does one without the key');
  const events = auditEvents(place.gateway).map(({ event }) => event);
  for (const event of [
    'admin.enrolled',
    'approval.proposed',
    'approval.approved',
    'approval.executing',
    'approval.done',
  ])
    t.ok(events.includes(event), event);
  await place.gateway.program.stop();
});

await test('records that were tampered with close the admin door, and nothing else', async (t) => {
  const place = new Installation();
  await place.start(place.policy(['Anna', 'Boris']));
  t.equal(place.person('Anna', 'renew').code, 0);
  await place.gateway.program.stop();
  const file = new DatabaseSync(join(place.data, 'records.db'));
  const row = file.prepare("SELECT body FROM records WHERE kind = 'admin' AND id = 'list'").get() as {
    body: Uint8Array;
  };
  row.body[row.body.length - 1] = (row.body.at(-1) ?? 0) ^ 1;
  file.prepare("UPDATE records SET body = ? WHERE kind = 'admin' AND id = 'list'").run(row.body);
  file.close();
  await place.start(place.policy(['Anna', 'Boris']));
  t.match(place.overview(), { administrators: [], fault: /was not written by this gateway/ });
  t.match(place.person('Anna', 'propose', 'replace_administrators'), { code: 1 });
  t.match(await place.readiness(), { status: 200, checks: { administrators: /nobody is let in/ } });
  t.equal(await place.statusOf('/api/x'), 401, 'people are served');
  place.write(place.policy(['Anna', 'Boris'], 'public'));
  t.match(place.zasov('reload'), { code: 1 }, 'and nothing is lowered meanwhile');
  await place.gateway.program.stop();
});

await test('a certificate is renewed and revoked by commands', async (t) => {
  const place = new Installation();
  await place.start(place.policy(['Anna', 'Boris']));
  const file = join(place.data, 'Anna.pem');
  const before = readFileSync(file, 'utf8');
  const renewed = place.person('Anna', 'renew');
  t.equal(renewed.code, 0, renewed.stderr);
  t.not(readFileSync(file, 'utf8'), before);
  writeFileSync(join(place.data, 'old.pem'), before);
  t.equal(place.zasov('admins', 'revoke', join(place.data, 'old.pem')).code, 0);
  t.equal(place.person('Anna', 'renew').code, 0, 'the new one is good');
  t.equal(place.zasov('admins', 'revoke', 'Anna').code, 0);
  t.equal(place.person('Anna', 'renew').code, 1, 'none of hers is');
  t.equal(place.person('Boris', 'renew').code, 0);
  t.same(place.names(), ['Anna', 'Boris'], 'she is enrolled all the same');
  await place.gateway.program.stop();
});

await test('with a key lost the operator begins anew, with the gateway stopped', async (t) => {
  const place = new Installation();
  await place.start(place.policy(['Anna', 'Boris']));
  await place.gateway.program.stop();
  for (const name of [
    'records.db',
    'records.db-wal',
    'records.db-shm',
    'admin/seen',
    'admin/policy-in-force',
  ])
    rmSync(join(place.data, name), { force: true });
  await place.start(place.policy(['Carl', 'Boris']));
  t.same(place.names(), ['Carl', 'Boris']);
  t.equal(place.person('Carl', 'renew').code, 0);
  await place.gateway.program.stop();
});
