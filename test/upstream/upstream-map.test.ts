import { test } from 'tap';

import { FleetDriver } from './fleet-fixture.ts';

const THREE = [
  { id: 'msk', ports: [1, 2] },
  { id: 'spb', ports: [3] },
  { id: 'nsk', ports: [4] },
];
const ONE_EACH = [
  { id: 'msk', ports: [1] },
  { id: 'spb', ports: [2] },
  { id: 'nsk', ports: [3] },
];
const HOMES = { homeByAccount: new Map([['acme', 'spb']]) };

function primary(epoch: number, position = '100') {
  return { status: 'ok', role: 'primary', epoch, position, lag_ms: 0 };
}

function replica(epoch: number, lagMs = 0, position = '100') {
  return { status: 'ok', role: 'replica', epoch, position, lag_ms: lagMs };
}

void test('nodes that say nothing: the home region reads and writes, the others only take over reads', async (t) => {
  const fleet = new FleetDriver(THREE, HOMES);
  t.same([fleet.reads(), fleet.writes()], [[], []], 'before anybody was asked nobody is trusted');
  for (const port of [1, 2, 3, 4]) fleet.says(port);
  t.same([fleet.reads('acme'), fleet.writes('acme')], [[3, 1, 2, 4], [3]]);
  t.same(
    [fleet.reads('anybody'), fleet.writes('anybody')],
    [
      [1, 2, 3, 4],
      [1, 2],
    ],
  );
  fleet.dies(3);
  t.same([fleet.reads('acme'), fleet.writes('acme')], [[1, 2, 4], []], 'a write waits for its home');
  await fleet.close();
});

void test('a single node without documents just works', async (t) => {
  const fleet = new FleetDriver([{ id: 'home', ports: [1] }]);
  fleet.says(1);
  t.same([fleet.reads(), fleet.writes()], [[1], [1]]);
  t.equal(fleet.map.hasCopies, false);
  await fleet.close();
});

void test('writes go to the primary of the documents, wherever it is', async (t) => {
  const fleet = new FleetDriver(ONE_EACH, HOMES);
  fleet.says(1, primary(7));
  fleet.says(2, replica(7));
  fleet.says(3, replica(7, 9000));
  t.same([fleet.reads('acme'), fleet.writes('acme')], [[2, 1], [1]], 'a copy that is too old answers nobody');
  fleet.says(3, replica(7, 5000));
  t.same(fleet.reads('acme'), [2, 1, 3]);
  t.equal(fleet.map.hasCopies, true);
  await fleet.close();
});

void test('an old primary that comes back is fenced, also after it was gone and the policies were read again', async (t) => {
  const fleet = new FleetDriver(ONE_EACH);
  fleet.says(1, primary(7));
  fleet.says(2, replica(7));
  fleet.says(3, replica(7));
  fleet.dies(1);
  t.same(fleet.writes(), []);
  fleet.says(2, primary(8));
  fleet.says(3, replica(8));
  t.same(fleet.writes(), [2]);
  fleet.comesBack(1, primary(7));
  t.same([fleet.writes(), fleet.reads()], [[2], [2, 3]]);
  t.equal(fleet.map.roleOf(fleet.node(1)), 'fenced');
  fleet.dies(2);
  t.same(fleet.writes(), [], 'nor does it take over when the new one is gone');
  fleet.reload(ONE_EACH.slice(0, 1));
  t.same(fleet.writes(), [], 'nor after a reload that knows only the old one');
  fleet.says(1, primary(9));
  t.same(fleet.writes(), [1]);
  await fleet.close();
});

void test('a replica that has heard of a new primary is enough to fence the old one', async (t) => {
  const fleet = new FleetDriver(ONE_EACH);
  fleet.says(1, primary(7));
  fleet.says(2, replica(8));
  fleet.says(3);
  t.same([fleet.writes(), fleet.reads()], [[], [2]]);
  await fleet.close();
});

void test('two primaries of one epoch: neither is trusted until one of them says otherwise', async (t) => {
  const fleet = new FleetDriver(ONE_EACH);
  fleet.says(1, primary(7));
  fleet.says(2, primary(7));
  fleet.says(3, replica(7));
  t.same([fleet.writes(), fleet.reads()], [[], [3]]);
  t.ok(fleet.happenings.includes('conflict'));
  fleet.dies(2);
  t.same(fleet.writes(), [], 'it is out of sight here, and may take writes from others');
  fleet.comesBack(2, replica(7));
  t.same(fleet.writes(), [1]);
  t.equal(fleet.happenings.at(-1), 'no conflict');
  await fleet.close();
});

void test('roles without epochs: the healthy one leads, and two healthy ones are a conflict', async (t) => {
  const fleet = new FleetDriver(ONE_EACH.slice(0, 2));
  fleet.says(1, { role: 'primary' });
  fleet.says(2, { role: 'replica', lag_ms: 10 });
  t.same([fleet.writes(), fleet.reads()], [[1], [1, 2]]);
  fleet.dies(1);
  fleet.says(2, { role: 'primary' });
  t.same(fleet.writes(), [2]);
  fleet.comesBack(1, { role: 'primary' });
  t.same(fleet.writes(), []);
  await fleet.close();
});

void test("the policy's word: a replica never takes writes, a primary does unless it says that it is none", async (t) => {
  const regions = [
    { id: 'a', ports: [1], role: 'primary' as const },
    { id: 'b', ports: [2], role: 'replica' as const },
  ];
  const fleet = new FleetDriver(regions);
  fleet.says(1);
  fleet.says(2);
  t.same([fleet.writes(), fleet.reads()], [[1], [1, 2]], 'a plain 200 is taken at its word');
  fleet.says(2, primary(3));
  t.same(fleet.writes(), [1]);
  fleet.dies(1);
  t.same(fleet.writes(), []);
  fleet.comesBack(1, replica(3));
  t.same(fleet.writes(), []);
  await fleet.close();
});

void test('a node whose health page turned plain is trusted with nothing while others say what they are', async (t) => {
  const fleet = new FleetDriver(ONE_EACH);
  fleet.says(1);
  fleet.says(2, replica(7));
  fleet.says(3, replica(7));
  t.same([fleet.writes(), fleet.reads()], [[], [2, 3]]);
  await fleet.close();
});

void test('a sealed region answers nothing, a draining one last, one on battery before that', async (t) => {
  const fleet = new FleetDriver(ONE_EACH);
  fleet.says(1, primary(1));
  fleet.says(2, replica(1));
  fleet.says(3, replica(1));
  fleet.seal('msk', 'draining');
  fleet.seal('spb', 'avoided');
  t.same([fleet.reads(), fleet.writes()], [[3, 2, 1], [1]], 'there is no other primary than a draining one');
  fleet.seal('msk', 'sealed');
  t.same([fleet.reads(), fleet.writes()], [[3, 2], []]);
  fleet.says(3, { ...replica(1), status: 'draining' });
  t.same(fleet.reads(), [2, 3]);
  await fleet.close();
});

void test('the nearest fresh copy answers reads where the policy wants it, and never writes', async (t) => {
  const fleet = new FleetDriver(ONE_EACH, { readsNearest: true });
  fleet.says(1, primary(1));
  fleet.says(2, replica(1));
  fleet.says(3, replica(1));
  fleet.node(1).distanceMs = 40;
  fleet.node(2).distanceMs = 2;
  fleet.node(3).distanceMs = 9;
  fleet.map.fleet.changed();
  t.same([fleet.reads(), fleet.writes()], [[2, 3, 1], [1]]);
  await fleet.close();
});

void test('a reload keeps the nodes that stay, with all that is known of them, and closes the others', async (t) => {
  const fleet = new FleetDriver(THREE);
  for (const port of [1, 2, 3, 4]) fleet.says(port, port === 1 ? primary(5) : replica(5));
  fleet.dies(3);
  const before = fleet.map;
  const stays = fleet.node(3);
  const goes = fleet.node(4);
  fleet.reload(THREE.slice(0, 2));
  t.equal(fleet.node(3), stays);
  t.same([fleet.reads(), fleet.writes()], [[1, 2], [1]]);
  await before.closeExcept(fleet.map);
  t.equal(goes.pool.closed, true);
  t.equal(stays.pool.closed, false);
  await fleet.close();
});

void test('strangers who make up account names cost no memory', async (t) => {
  const fleet = new FleetDriver(ONE_EACH);
  for (const port of [1, 2, 3]) fleet.says(port);
  t.equal(fleet.map.planFor('account-1'), fleet.map.planFor('account-2'));
  await fleet.close();
});

void test('a node turns only after as many equal results in a row as the policy says', async (t) => {
  const fleet = new FleetDriver([{ id: 'home', ports: [1] }]);
  const bad = { status: 'down' };
  for (const document of [undefined, bad, undefined, bad, bad, bad, undefined, bad, undefined, undefined])
    fleet.says(1, document);
  t.same(
    fleet.happenings.filter((each) => !each.includes('check')),
    ['1 unhealthy', '1 healthy'],
  );
  await fleet.close();
});
