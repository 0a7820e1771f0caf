import { systemClock } from '../../gateway/core/clock.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import { LIMITS, family } from './contract-bench.ts';

// Writes without pause until it is killed, and says on standard output what it was promised.
const [, , path = ''] = process.argv;
const limits = { ...LIMITS, rotateEveryMs: 0, graceMs: 0 };
const store = openEmbeddedStore(path, familyTransitions, systemClock);

for (let count = 0; ; count += 1) {
  const id = `family-${count}`;
  const jar = Buffer.alloc(2000, count);
  await store.create(family(id, systemClock.now(), { person: `person-${count % 7}`, jar }), 1000);
  let hash = 'first';
  for (let rotation = 0; rotation < 3; rotation += 1) {
    const child = `${id}-${rotation}`;
    await store.issue(id, hash, child, limits);
    await store.use(id, child, false, limits);
    await store.replaceJar(id, Buffer.alloc(2000, rotation), rotation);
    hash = child;
  }
  process.stdout.write(`alive ${id} ${hash}\n`);
  if (count % 3 !== 0) continue;
  await store.end(id, 'revoked');
  process.stdout.write(`ended ${id} ${hash}\n`);
}
