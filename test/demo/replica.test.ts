import * as fc from '../support/property-based.ts';
import tap from 'tap';
import type { Operation } from '../../gateway/demo/crm/crm-record.ts';
import { Replica } from '../../gateway/demo/crm/replica.ts';

const operations = fc.array(
  fc.record({
    lamport: fc.integer({ min: 1, max: 6 }),
    node: fc.constantFrom('a', 'b', 'c'),
    account: fc.constant('acme'),
    kind: fc.constantFrom('lead', 'contact'),
    id: fc.constantFrom('1', '2', '3'),
    isDeletion: fc.boolean(),
  }),
);

/** A node never writes two operations under one number; the value tells which operation it is from. */
function toOperation(draft: Omit<Operation, 'value'> & { isDeletion: boolean }): Operation {
  const { isDeletion, ...operation } = draft;
  const fields = { title: `${operation.lamport}${operation.node}` };
  return {
    ...operation,
    value: isDeletion ? null : { fields, createdAtMs: 0, updatedAtMs: 0, updatedBy: '' },
  };
}

function unique(list: readonly Operation[]): Operation[] {
  const key = ({ lamport, node, kind, id }: Operation): string => `${lamport}${node}${kind}${id}`;
  return [...new Map(list.map((operation) => [key(operation), operation])).values()];
}

function stateOf(replica: Replica): unknown {
  return ['lead', 'contact'].map((kind) =>
    replica.list(kind as 'lead', 'acme').toSorted(([left], [right]) => left.localeCompare(right)),
  );
}

await tap.test('any order and any repetition of the same operations ends in the same state', async () => {
  fc.assert(
    fc.property(operations, fc.infiniteStream(fc.nat()), (drafts, random) => {
      const list = unique(drafts.map(toOperation));
      const shuffled = [...list, ...list]
        .map((operation) => ({ operation, at: random.next().value as number }))
        .toSorted((left, right) => left.at - right.at);
      const [one, two] = [new Replica('x'), new Replica('y')];
      for (const operation of list) one.apply(operation);
      for (const { operation } of shuffled) two.apply(operation);
      return JSON.stringify(stateOf(one)) === JSON.stringify(stateOf(two));
    }),
  );
});

await tap.test('a reader of the feed that comes back now and then has everything', async () => {
  fc.assert(
    fc.property(operations, fc.integer({ min: 1, max: 5 }), (drafts, every) => {
      const [writer, reader] = [new Replica('x'), new Replica('y')];
      let position = 0;
      const follow = (): void => {
        const changes = writer.changesAfter(writer.boot, position);
        for (const operation of changes.operations) reader.apply(operation);
        ({ position } = changes);
      };
      for (const [at, operation] of unique(drafts.map(toOperation)).entries()) {
        writer.apply(operation);
        if (at % every === 0) follow();
      }
      follow();
      return JSON.stringify(stateOf(writer)) === JSON.stringify(stateOf(reader));
    }),
  );
});

await tap.test('the feed comes in pages, and a reader of another boot begins again', async (t) => {
  const replica = new Replica('x');
  for (let id = 0; id < 2500; id += 1)
    replica.put('lead', 'acme', String(id), { fields: {}, createdAtMs: 0, updatedAtMs: 0, updatedBy: '' });
  const first = replica.changesAfter('', 0);
  t.strictSame([first.operations.length, first.hasMore], [1000, true]);
  const second = replica.changesAfter(replica.boot, first.position);
  const third = replica.changesAfter(replica.boot, second.position);
  t.strictSame([third.operations.length, third.hasMore], [500, false]);
  t.equal(replica.changesAfter('another', third.position).operations[0]?.id, '0');
});

await tap.test('a write is later than everything the node has seen', async (t) => {
  const replica = new Replica('a');
  const value = { fields: { title: 'theirs' }, createdAtMs: 0, updatedAtMs: 0, updatedBy: '' };
  replica.apply({ lamport: 41, node: 'z', account: 'acme', kind: 'lead', id: '1', value });
  replica.put('lead', 'acme', '1', { ...value, fields: { title: 'ours' } });
  t.equal(replica.get('lead', 'acme', '1')?.fields['title'], 'ours');
  t.equal(replica.changesAfter(replica.boot, 1).operations[0]?.lamport, 42);
});

await tap.test(
  'a flood of strangers drops the oldest anonymous sessions and nobody who is signed in',
  async (t) => {
    const replica = new Replica('a');
    const visit = { csrf: 'x', createdAtMs: 0, signedInAtMs: 0 };
    replica.put('visit', 'acme', 'person', { ...visit, login: 'anna' });
    for (let id = 0; id < 6000; id += 1) replica.put('visit', 'acme', `s${id}`, { ...visit, login: '' });
    t.equal(replica.size('visit', 'acme'), 5000);
    t.ok(replica.get('visit', 'acme', 'person'));
    t.notOk(replica.get('visit', 'acme', 's0'));
    t.ok(replica.get('visit', 'acme', 's5999'));
  },
);
