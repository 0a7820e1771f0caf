/** Signals of data centres, and the commands on regions, against the real program. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';

import { sendSignal, signedSignal, type SignalChanges, type SignalReply } from '../support/facility.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway, temporaryDirectory } from '../support/start-gateway.ts';

const SECRETS = {
  msk: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
  spb: 'an alarm panel knows this one',
};

const [here, there, far] = [await startSmallCrm(), await startSmallCrm(), await startSmallCrm()];
const folder = temporaryDirectory();
const fileOf = (region: keyof typeof SECRETS): string => {
  const file = join(folder, `${region}.facility`);
  writeFileSync(file, `${SECRETS[region]}\n`, { mode: 0o600 });
  return file;
};
const policy = smallCrmPolicy(here.origin)
  .replace(
    /^regions:[^]*?home: \{ default: home \}$/m,
    `regions:
  - { id: msk, nodes: ["${here.origin}"], health: { timeout: 30s }, role: primary, facility: { secret: "file:${fileOf('msk')}" } }
  - { id: spb, nodes: ["${there.origin}"], health: { timeout: 30s }, role: replica, facility: { secret: "file:${fileOf('spb')}" } }
  - { id: nsk, nodes: ["${far.origin}"], role: replica }`,
  )
  .replace(/^routing:\n/m, '');
tap.setTimeout(120_000);
let gateway = await startGateway(policy);
tap.teardown(async () => {
  await gateway.program.stop();
  await Promise.all([here, there, far].map((each) => each.close()));
});

interface Row {
  readonly id: string;
  readonly state: string;
  readonly nodes: readonly { url: string; healthy: boolean; role: string; lag_ms: number | null }[];
}

function regions(): Record<string, string> {
  const { stdout } = gateway.command('regions', 'list', '--json');
  return Object.fromEntries((JSON.parse(stdout) as Row[]).map(({ id, state }) => [id, state]));
}

async function signal(
  region: keyof typeof SECRETS,
  type: string,
  changes: SignalChanges = {},
): Promise<SignalReply> {
  return await sendSignal(signedSignal(gateway.listeners.ops, region, SECRETS[region], type, changes));
}

async function counted(region: string, type: string, result: string): Promise<number> {
  const text = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  const line = `zasov_facility_signals_total{region="${region}",type="${type}",result="${result}"} `;
  return Number(
    text
      .split('\n')
      .find((each) => each.startsWith(line))
      ?.slice(line.length) ?? 0,
  );
}

await test('regions are listed in the form that programs rely on', async (t) => {
  const { stdout, code } = gateway.command('regions', 'list', '--json');
  t.equal(code, 0);
  const rows = JSON.parse(stdout) as Row[];
  t.strictSame(
    rows.map((row) => Object.keys(row)),
    [
      ['id', 'state', 'nodes'],
      ['id', 'state', 'nodes'],
      ['id', 'state', 'nodes'],
    ],
  );
  t.strictSame(Object.keys(rows[0]?.nodes[0] ?? {}), ['url', 'healthy', 'role', 'lag_ms']);
  t.equal(rows[0]?.nodes[0]?.url, here.origin);
  t.match(gateway.command('regions', 'list').stdout, /REGION +STATE +BECAUSE OF +NODE/);
});

await test('each signal does what it is for, and the all-clear takes back what it may', async (t) => {
  t.match(await signal('msk', 'on-battery'), { status: 200, value: { state: 'avoided', recorded: true } });
  t.equal(regions()['msk'], 'avoided');
  t.match(await signal('msk', 'power-failing'), { status: 200, value: { state: 'draining' } });
  t.match(await signal('msk', 'fire'), { status: 200, value: { state: 'draining' } });
  t.match(await signal('msk', 'clear'), { status: 200, value: { state: 'open' } });
  t.strictSame(regions(), { msk: 'open', spb: 'open', nsk: 'open' });
  t.equal(await counted('msk', 'fire', 'taken'), 1);
});

await test('a signal that is forged, old, repeated or meant otherwise is refused, precisely and counted', async (t) => {
  const once = signedSignal(gateway.listeners.ops, 'spb', SECRETS.spb, 'on-battery');
  t.match(await sendSignal(once), { status: 200 });
  t.match(await sendSignal(once), { status: 409, value: { code: 'signal_replayed' } });
  t.equal(await counted('spb', 'on-battery', 'replayed'), 1);
  const refusals: [what: string, changes: SignalChanges, status: number, code: string, result: string][] = [
    ['another key', { key: SECRETS.msk }, 401, 'signal_unsigned', 'bad_signature'],
    ['no signature', { signature: '' }, 401, 'signal_unsigned', 'bad_signature'],
    ['a made-up one', { signature: 'v1,AAAA' }, 401, 'signal_unsigned', 'bad_signature'],
    ['six minutes old', { atMs: Date.now() - 360_000 }, 401, 'signal_stale', 'stale'],
    ['six minutes early', { atMs: Date.now() + 360_000 }, 401, 'signal_stale', 'stale'],
    ['an unknown type', { body: '{"type":"flood"}' }, 422, 'signal_unknown', 'unknown_type'],
    ['no type', { body: '{}' }, 400, 'bad_request', 'refused'],
    ['no JSON', { body: 'fire!' }, 400, 'bad_request', 'refused'],
    [
      'of another region',
      { body: '{"type":"intrusion","region":"msk"}' },
      401,
      'signal_unsigned',
      'bad_signature',
    ],
    [
      'too long',
      { body: JSON.stringify({ type: 'fire', pad: 'x'.repeat(20_000) }) },
      413,
      'body_too_large',
      'refused',
    ],
    ['no POST', { method: 'GET' }, 405, 'method_refused', 'refused'],
  ];
  for (const [what, changes, status, code] of refusals)
    t.match(
      await signal('spb', 'intrusion', changes),
      { status, value: { code, title: String, type: String } },
      what,
    );
  for (const region of ['nowhere', 'nsk', 'msk/x', ''])
    t.match(
      await sendSignal(signedSignal(gateway.listeners.ops, region, SECRETS.spb, 'fire')),
      { status: 404, value: { code: 'region_unknown' } },
      region,
    );
  t.equal(await counted('spb', '-', 'bad_signature'), 4);
  t.equal(await counted('spb', '-', 'stale'), 2);
  t.equal(await counted('-', '-', 'unknown_region'), 4);
  t.equal(regions()['spb'], 'avoided', 'nothing of it had an effect');
  t.match(await signal('spb', 'clear'), { status: 200 });
});

await test('an operator drains and opens a region, and seals one that nobody opens alone', async (t) => {
  t.match(gateway.command('regions', 'drain', 'nsk'), { code: 0, stdout: 'region nsk is draining\n' });
  t.match(gateway.command('regions', 'unseal', 'nsk'), { code: 1, stderr: /not sealed; it is draining/ });
  t.match(gateway.command('regions', 'undrain', 'nsk'), { code: 0, stdout: 'region nsk is open\n' });
  t.match(gateway.command('regions', 'seal', 'nsk', '--json'), {
    code: 0,
    stdout: '{"id":"nsk","state":"sealed","recorded":true}\n',
  });
  t.match(gateway.command('regions', 'open', 'nsk'), { code: 1, stderr: /both administrators/ });
  t.match(gateway.command('regions', 'unseal', 'nsk'), {
    code: 1,
    stderr: /zasov admins propose unseal_region/,
  });
  t.equal(regions()['nsk'], 'sealed');
  t.match(gateway.command('regions', 'seal', 'nowhere'), { code: 1, stderr: /no region "nowhere"/ });
  t.equal(gateway.command('regions').code, 2);
});

await test('an intrusion seals until both administrators open it: no all-clear, command, reload or kill -9 does', async (t) => {
  t.match(await signal('msk', 'intrusion'), { status: 200, value: { state: 'sealed' } });
  t.match(await signal('msk', 'clear'), { status: 200, value: { state: 'sealed' } });
  t.equal(gateway.command('regions', 'open', 'msk').code, 1);
  t.equal(gateway.command('reload').code, 0);
  t.equal(regions()['msk'], 'sealed');
  const before = signedSignal(gateway.listeners.ops, 'spb', SECRETS.spb, 'on-battery');
  t.match(await sendSignal(before), { status: 200 });
  await gateway.program.kill();
  gateway = await startGateway(policy, gateway.data);
  t.strictSame(regions(), { msk: 'sealed', spb: 'avoided', nsk: 'sealed' });
  const again = { ...before, url: before.url.replace(/^http:\/\/[^/]+/, gateway.listeners.ops) };
  t.match(await sendSignal(again), { status: 409 }, 'nor does a restart forget what came');
  t.match(await signal('spb', 'clear'), { status: 200 });
});
