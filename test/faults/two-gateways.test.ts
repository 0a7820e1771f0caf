/** Two gateway processes on one Redis: one truth, at once and cheaply. */
import tap, { test } from 'tap';
import { startSingle } from '../support/redis-servers.ts';
import { Person, startShared } from './shared-gateways.ts';

const redis = await startSingle();
const shared = await startShared([redis.place, redis.place], '');
const { gateways } = shared;
tap.teardown(async () => {
  await shared.stop();
  await redis.stop();
});

void test('a session that began on one gateway is known to the other', async (t) => {
  const olga = await new Person('olga', gateways).signIn(0);
  t.match(await olga.visit(1), { status: 200, user: 'olga' });
  t.match(await olga.visit(0), { status: 200, user: 'olga' });
  t.equal(await olga.signOut(1), 302);
  t.match(await olga.visit(0), { status: 401 });
  olga.close();
});

void test('200 revocations reach the other gateway in under a second each, half of them within 50 ms', async (t) => {
  const delays: number[] = [];
  for (let round = 0; round < 200; round += 1) {
    const person = await new Person(`r${round}`, gateways).signIn(0);
    t.equal((await person.visit(1)).status, 200);
    const copy = new Person(person.name, gateways, person.jar);
    const since = performance.now();
    await person.signOut(0);
    let status = 200;
    while (status === 200 && performance.now() - since < 2000) ({ status } = await copy.visit(1));
    delays.push(performance.now() - since);
    t.equal(status, 401);
    person.close();
    copy.close();
  }
  const sorted = delays.toSorted((one, other) => one - other);
  const [p50, p99, worst] = [sorted[99] ?? 0, sorted[197] ?? 0, sorted.at(-1) ?? 0];
  t.comment(`p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`);
  t.ok(p50 < 50, `p50 ${p50.toFixed(1)} ms`);
  t.ok(worst < 1000, `worst ${worst.toFixed(1)} ms`);
});
