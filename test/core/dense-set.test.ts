import { array, assert, boolean, nat, property, record } from 'fast-check';
import { test } from 'tap';
import { DenseSet, type Placed } from '../../gateway/core/dense-set.ts';

interface Item extends Placed {
  readonly name: number;
}

await test('whatever is added and taken out in whatever order, it holds what a set holds', (t) => {
  const step = record({ adds: boolean(), name: nat(12) });
  assert(
    property(array(step, { maxLength: 200 }), (steps) => {
      const pool = Array.from({ length: 13 }, (_, name): Item => ({ name, place: -1 }));
      const dense = new DenseSet<Item>();
      const model = new Set<number>();
      for (const { adds, name } of steps) {
        const item = pool[name];
        if (item === undefined) throw new Error('no such item');
        if (adds) dense.add(item);
        else dense.delete(item);
        if (adds) model.add(name);
        else model.delete(name);
        const names = dense.items().map((each) => each.name);
        if (dense.size !== model.size || new Set(names).size !== names.length) return false;
        if (!names.every((each) => model.has(each))) return false;
        if (!pool.every((each) => (each.place === -1) === !model.has(each.name))) return false;
      }
      return true;
    }),
  );
  t.end();
});

await test('it may change while somebody goes through what it held', (t) => {
  const dense = new DenseSet<Item>();
  const items = [1, 2, 3].map((name): Item => ({ name, place: -1 }));
  for (const item of items) dense.add(item);
  const seen = dense.items().map((item) => {
    for (const each of items) dense.delete(each);
    return item.name;
  });
  t.strictSame(seen, [1, 2, 3]);
  t.equal(dense.size, 0);
  t.end();
});
