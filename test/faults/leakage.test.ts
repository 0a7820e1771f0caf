/** Nobody is ever answered as somebody else, whatever becomes of the store under load. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { startDelayProxy } from '../support/delay-proxy.ts';
import { startSingle } from '../support/redis-servers.ts';
import { Person, startShared } from './shared-gateways.ts';

const REQUESTS = 10_000;
const PEOPLE = 50;

const redis = await startSingle();
const proxy = await startDelayProxy(redis.servers[0]?.port ?? 0);
const place = { kind: 'single', url: `redis://127.0.0.1:${proxy.port}` } as const;
const shared = await startShared([place, place], '  rotate_every: 1s\n  grace: 500ms\n');
tap.teardown(async () => {
  await shared.stop();
  await proxy.close();
  await redis.stop();
});

void test('10,000 requests of 50 people over two gateways with store time-outs: no answer is anybody else’s', async (t) => {
  const { gateways } = shared;
  const people: Person[] = [];
  for (let index = 0; index < PEOPLE; index += 1) {
    people.push(await new Person(`person${index}`, gateways).signIn(index));
  }
  const statuses = new Map<number, number>();
  const wrong: string[] = [];
  const todo = { left: REQUESTS };
  const note = (person: Person, status: number, user?: string): void => {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status === 200 ? user !== person.name : ![302, 401, 503].includes(status))
      wrong.push(`${person.name}: ${status} ${user ?? ''}`);
  };
  const roam = async (person: Person, seed: number): Promise<void> => {
    for (let round = seed; todo.left > 0; round += 1) {
      todo.left -= 1;
      // Some go and come back, so that sessions begin and end in the middle of the trouble too.
      if (round % 60 === 59) note(person, await person.signOut(round));
      const { status, user } = await person.visit(round);
      note(person, status, user);
      if (status === 401) await person.signIn(round).catch(() => undefined);
      await pause(5);
    }
  };
  const trouble = async (): Promise<void> => {
    while (todo.left > 0) {
      // Longer than a request waits, so that answers of the store come when nobody waits for them any more.
      proxy.delayMs = 700;
      await pause(1500);
      proxy.delayMs = 0;
      await pause(1500);
      proxy.cut();
      await pause(1000);
    }
    proxy.delayMs = 0;
  };
  await Promise.all([...people.map(roam), trouble()]);
  t.comment(`answers: ${JSON.stringify([...statuses])}`);
  t.same(wrong, []);
  t.ok((statuses.get(200) ?? 0) > REQUESTS / 3, 'most of them were answered');
  t.ok((statuses.get(503) ?? 0) > 100, 'the store timed out under them');
  for (const person of people) person.close();
});
