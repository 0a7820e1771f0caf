import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';

import { test } from 'tap';

import { makePayload, signPayload } from '../../gateway/admin/proposal.ts';

import { createGatewayMetrics } from '../../gateway/observability/gateway-metrics.ts';
import { createLogger } from '../../gateway/observability/logger.ts';
import { MetricRegistry } from '../../gateway/observability/metric-registry.ts';
import { runAdminApi } from '../../gateway/server/admin-api.ts';
import { openAdmins } from '../../gateway/server/open-admins.ts';
import { readKeyring } from '../../gateway/server/read-keyring.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { certify, listed, makeAdministrator } from '../support/administrator.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { goodPolicy, SHORTEST } from '../support/policy-fixture.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

const anna = makeAdministrator('Anna');
const boris = makeAdministrator('Boris');
const carl = makeAdministrator('Carl');

const policyOf = (...people: readonly { name: string; fingerprint: string }[]) => {
  const lines = people.map(
    (each) => `  - { name: ${each.name}, certificate: "sha256:${each.fingerprint}" }\n`,
  );
  return `${SHORTEST}admins:\n${lines.join('')}`;
};

const clock = new ManualClock();
const data = temporaryDirectory();
const registry = new MetricRegistry();
const lines: string[] = [];
const admins = await (async () => {
  const { policy } = goodPolicy({ testdir: temporaryDirectory }, policyOf(anna, boris));
  const audit = { note: () => undefined, commit: () => Promise.resolve() };
  return openAdmins({
    policy,
    data,
    records: openEmbeddedRecords(join(data, 'records.db')),
    keyring: await readKeyring({ masterKey: undefined }, data, {}),
    clock,
    audit,
    metrics: createGatewayMetrics(registry),
    registry,
    logger: createLogger({
      level: 'info',
      clock,
      destination: { write: (line: string) => void lines.push(line) },
    }),
  });
})();

const call = async (person: typeof anna, method: string, path: string, body?: unknown) =>
  runAdminApi(admins, listed(person), method, `/.zasov/admin/${path}`, body);

interface Overview {
  now_ms: number;
  gateway: string;
  list: number;
  approval_expires_ms: number;
}

async function makeProposal(
  action: { kind: string; parameters: Record<string, unknown> },
  lifetimeMs?: number,
) {
  const { value } = (await call(anna, 'GET', 'approvals')) ?? { value: {} };
  const { now_ms, gateway, list, approval_expires_ms } = value as Overview;
  return makePayload(action, { gateway, list, expires_ms: now_ms + (lifetimeMs ?? approval_expires_ms) });
}

void test('an administrator is replaced by both signatures, and by nothing less', async (t) => {
  const from = [listed(anna), listed(boris)];
  const to = [listed(anna), listed(carl)];
  admins.configure(goodPolicy(t, policyOf(anna, carl)).policy);
  t.match(await call(anna, 'GET', 'approvals'), {
    status: 200,
    value: {
      policy: [{ name: 'Anna' }, { name: 'Carl', certificate: `sha256:${carl.fingerprint}` }],
      pending: 0,
    },
  });
  t.match(admins.check(), /names other administrators/);
  t.match(await registry.render(), /^zasov_admins_policy_differs 1$/m);
  t.ok(lines.some((line) => line.includes('the policy names other administrators')));
  for (const bad of [
    { from, to: [listed(anna)] },
    { from, to: [listed(anna), listed(anna)] },
    { from, to: [...to, listed(boris)] },
    { from, to: from },
    { from: to, to: from },
  ]) {
    const wrong = await makeProposal({ kind: 'replace_administrators', parameters: bad });
    const body = { payload: wrong, ...signPayload(wrong, anna.privateKey) };
    t.match(await call(anna, 'POST', 'approvals', body), { status: 400 });
  }
  const payload = await makeProposal({ kind: 'replace_administrators', parameters: { from, to } });
  const body = { payload, ...signPayload(payload, anna.privateKey) };
  t.match(await call(anna, 'POST', 'approvals', body), {
    status: 201,
    value: { state: 'open', hash: /^[0-9a-f]{64}$/ },
  });
  t.match(await call(anna, 'POST', 'approvals', body), { status: 409, value: { code: 'replayed' } });
  t.match(await registry.render(), /^zasov_approvals_pending 1$/m);
  const approve = (person: typeof anna, key = person) =>
    call(person, 'POST', `approvals/${payload.id}/approve`, signPayload(payload, key.privateKey));
  t.match(await approve(anna), { status: 403, value: { code: 'own_signature' } });
  t.match(await approve(anna, boris), { status: 403, value: { code: 'bad_signature' } });
  t.match(await approve(carl), { status: 403, value: { code: 'not_listed' } });
  t.same(admins.list.administrators, from);
  t.match(await approve(boris), { status: 200 });
  await admins.approvals.idle();
  t.same(admins.list.administrators, to);
  t.equal(admins.check(), true);
  t.match(admins.list.listBy, { id: payload.id }, 'the list is kept with both signatures');
  t.match(await approve(boris), { status: 409 });
});

void test('a certificate is renewed for the enrolled key only', async (t) => {
  const { status, value } = (await call(anna, 'POST', 'certificate', { public_key: anna.spki })) ?? {};
  t.equal(status, 200);
  const certificate = new X509Certificate((value as { certificate: string }).certificate);
  t.same(admins.list.identify(certificate), listed(anna));
  t.match(await call(anna, 'POST', 'certificate', { public_key: carl.spki }), { status: 403 });
  t.match(await call(anna, 'POST', 'certificate', { public_key: 'AAAA' }), { status: 403 });
  t.match(await call(anna, 'POST', 'certificate', {}), { status: 400 });
});

void test('either of the two takes certificates back, and only those that can be named', async (t) => {
  const certificate = await certify(carl, data, clock.now());
  t.same(admins.list.identify(certificate), listed(carl));
  t.match(await call(anna, 'POST', 'revocations', { serial: certificate.serialNumber }), { status: 200 });
  t.equal(admins.list.identify(certificate), 'revoked');
  for (const nonsense of [
    {},
    { name: 'Nobody' },
    { serial: 'xyz' },
    { name: 'Anna', serial: '00' },
    undefined,
  ])
    t.match(await call(anna, 'POST', 'revocations', nonsense), { status: 400 });
});

void test('what is not there, and what is nonsense', async (t) => {
  t.equal(runAdminApi(admins, listed(anna), 'GET', '/.zasov/admin/nothing'), undefined);
  t.equal(runAdminApi(admins, listed(anna), 'GET', '/.zasov/adminx'), undefined);
  t.match(await call(anna, 'DELETE', 'approvals'), { status: 405 });
  t.match(await call(anna, 'POST', 'approvals', { payload: {} }), { status: 400 });
  t.match(await call(anna, 'POST', 'approvals/AAAA/reject'), { status: 404 });
  const unseal = await makeProposal({ kind: 'unseal_region', parameters: { region: 'msk' } });
  const body = { payload: unseal, ...signPayload(unseal, anna.privateKey) };
  t.match(await call(anna, 'POST', 'approvals', body), { status: 400, value: { code: 'not_possible' } });
  admins.close();
});
