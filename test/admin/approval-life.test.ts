/** The life of proposals against rules written plainly. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { test } from 'tap';

import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { openRedisStore, type RedisStore } from '../../gateway/store/redis-store.ts';
import * as fc from '../support/property-based.ts';
import { startSingle } from '../support/redis-servers.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { live, step } from './approval-model.ts';

const base = temporaryDirectory();

void test(
  'whatever two people and a third do, in whatever order, on two nodes that die: an action runs once, and only with both signatures',
  { timeout: 240_000 },
  async (t) => {
    const reached = { done: 0, taken: 0, expired: 0, rejected: 0, failed: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 40 }), async (steps) => {
        const path = join(mkdtempSync(join(base, 'life-')), 'records.db');
        const stores: { close(): void }[] = [];
        const open = () => {
          const store = openEmbeddedRecords(path);
          stores.push(store);
          return store;
        };
        try {
          const proposals = await live(open, steps);
          for (const { state, carried } of proposals) {
            if (state === 'done' || state === 'expired' || state === 'rejected' || state === 'failed')
              reached[state]++;
            if (carried > 1) reached.taken++;
          }
        } finally {
          for (const store of stores) store.close();
        }
      }),
      { numRuns: 40 },
    );
    for (const [state, count] of Object.entries(reached)) t.ok(count > 0, `${count} proposals: ${state}`);
  },
);

void test('the same over Redis', { timeout: 240_000 }, async (t) => {
  const group = await startSingle();
  const stores: RedisStore[] = [];
  t.teardown(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await group.stop();
  });
  // Connections are few and kept; what is in the store begins anew with every history.
  for (let count = 0; count < 2; count++) stores.push(await openRedisStore({ place: group.place }));
  let next = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 30 }), async (steps) => {
      await group.servers[0]?.command('FLUSHALL');
      const { records } = stores[next++ % 2] ?? {};
      if (records === undefined) throw new Error('no store');
      await live(() => stores[next++ % 2]?.records ?? records, steps);
    }),
    { numRuns: 30 },
  );
  t.pass('30 histories');
});
