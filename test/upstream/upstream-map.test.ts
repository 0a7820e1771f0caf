import { test } from 'tap';

import { type HealthSettings, record } from '../../gateway/upstream/health-check.ts';
import { UpstreamMap, type UpstreamSettings } from '../../gateway/upstream/upstream-map.ts';

function settings(change: Partial<UpstreamSettings> = {}): UpstreamSettings {
  return {
    regions: [
      { id: 'msk', nodes: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] },
      { id: 'spb', nodes: ['http://127.0.0.1:3'] },
      { id: 'nsk', nodes: ['http://127.0.0.1:4'] },
    ],
    routing: {
      defaultRegion: 'msk',
      homeByAccount: new Map([['acme', 'spb']]),
      failover: ['msk', 'spb', 'nsk'],
    },
    upstreamTimeoutMs: 1000,
    ...change,
  };
}

void test("an account's nodes are those of its home, then the failover order, each region once", async (t) => {
  const map = new UpstreamMap(settings());
  const ports = (account: string) => map.nodesFor(account).map(({ origin }) => Number(new URL(origin).port));
  t.same(ports('acme'), [3, 1, 2, 4]);
  t.same(ports('anybody else'), [1, 2, 3, 4]);
  await map.closeExcept(undefined);
});

void test('a reload keeps the nodes that stay, with their health, and closes the others', async (t) => {
  const before = new UpstreamMap(settings());
  const stays = before.nodeAt('127.0.0.1:3');
  const goes = before.nodeAt('127.0.0.1:4');
  if (stays === undefined || goes === undefined) throw new Error('no such node');
  stays.healthy = false;
  const after = new UpstreamMap(settings({ regions: settings().regions.slice(0, 2) }), before);
  t.equal(after.nodeAt('127.0.0.1:3'), stays);
  t.equal(after.nodeAt('127.0.0.1:4'), undefined);
  await before.closeExcept(after);
  t.equal(goes.pool.closed, true);
  t.equal(stays.pool.closed, false);
  await after.closeExcept(undefined);
});

void test('strangers who make up account names do not fill the memory', async (t) => {
  const map = new UpstreamMap(settings());
  for (let i = 0; i < 25_000; i++) map.nodesFor(`account-${i}`);
  t.equal(map.nodesFor('account-1').length, 4);
  t.ok(map.rememberedAccounts <= 10_000);
  await map.closeExcept(undefined);
});

const HEALTH: HealthSettings = { path: '/', everyMs: 1, timeoutMs: 1, unhealthyAfter: 2, healthyAfter: 3 };

void test('a node turns only after as many equal results in a row as the policy says', async (t) => {
  const map = new UpstreamMap(settings());
  const [node] = map.nodes;
  if (node === undefined) throw new Error('no node');
  const turns: boolean[] = [];
  for (const isWell of [false, true, false, false, true, true, false, true, true, true, true]) {
    record(node, isWell, HEALTH, ({ healthy }) => turns.push(healthy));
  }
  t.same(turns, [false, true]);
  await map.closeExcept(undefined);
});
