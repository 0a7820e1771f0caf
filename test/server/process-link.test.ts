import { test } from 'tap';
import { ProcessLink } from '../../gateway/server/process-link.ts';
import { processPair } from './process-pair.ts';

type Sums = { add: { ask: [number, number]; answer: number }; never: { ask: null; answer: null } };
type Nothing = Record<string, never>;

function pair() {
  const { ends, disconnect } = processPair();
  const asked: [number, number][] = [];
  const asking = new ProcessLink<Sums, Nothing>(ends[0], {});
  const answering = new ProcessLink<Nothing, Sums>(ends[1], {
    add: ([one, other]) => {
      asked.push([one, other]);
      if (Number.isNaN(one + other) || one < 0) throw new Error('only natural numbers');
      return one + other;
    },
    never: () => new Promise(() => undefined),
  });
  return { asking, answering, asked, disconnect };
}

await test('questions reach the other process in order and each gets its own answer', async (t) => {
  const { asking, asked } = pair();
  const answers = await Promise.all([1, 2, 3].map((one) => asking.ask('add', [one, 10], 1000)));
  t.strictSame(answers, [11, 12, 13]);
  t.strictSame(asked, [
    [1, 10],
    [2, 10],
    [3, 10],
  ]);
});

await test('a failure on the other side is a failure for the one who asked', async (t) => {
  const { asking } = pair();
  await t.rejects(asking.ask('add', [-1, 1], 1000), { code: 'internal', message: 'only natural numbers' });
  t.equal(await asking.ask('add', [1, 1], 1000), 2, 'and only for that question');
});

await test('a question that nobody answers fails in time', async (t) => {
  const { asking } = pair();
  const hold = setTimeout(() => undefined, 5000);
  await t.rejects(asking.ask('never', null, 20), { message: /in time/ });
  clearTimeout(hold);
});

await test('the end of the other process fails what is under way, and every later question at once', async (t) => {
  const { asking, disconnect } = pair();
  const waiting = asking.ask('never', null, 60_000);
  setImmediate(disconnect);
  await t.rejects(waiting, { message: /gone/ });
  await t.rejects(asking.ask('add', [1, 1], 60_000), { message: /could not be sent/ });
});
