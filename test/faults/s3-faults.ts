import { createHash, randomBytes } from 'node:crypto';
import { test } from 'tap';

import { lacksRoom } from '../../gateway/backup/backup-target.ts';
import { listUploads } from '../../gateway/backup/s3-listing.ts';
import { openS3Target } from '../../gateway/backup/s3-target.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { namesOf, pieces, readAll } from '../backup/target-contract.ts';
import type { S3Server } from '../support/s3-server.ts';
import { startTamperProxy } from '../support/tamper-proxy.ts';
import { type Buckets, DAY_MS, MIB, collect, mebibytes } from './s3-buckets.ts';

/** What happens to a bucket's target when the service or the way to it fails. */
export async function s3Faults(server: S3Server, { placeOf, quick, rawClient }: Buckets): Promise<void> {
  // Before anything is killed: a change of a bucket waits half a minute for a gateway that died.
  await test('a bucket that is full takes nothing half, says so, and takes again when there is room', async (t) => {
    const target = quick();
    await server.setQuota('plain', 20 * MIB);
    await target.put('zasov-first.age', mebibytes(14));
    for (const count of [8, 40]) {
      const error: unknown = await target.put('zasov-full.age', mebibytes(count)).catch((e: unknown) => e);
      t.match(error, { code: 'backup_failed', message: /the quota of the bucket is used up: raise it/ });
      t.ok(lacksRoom(error), 'what has had its time is removed then');
    }
    t.same(await namesOf(target, 'zasov-'), ['zasov-first.age']);
    t.same(await collect(listUploads(rawClient('plain'), '')), []);
    await target.remove('zasov-first.age');
    t.match(await target.put('zasov-full.age', mebibytes(8)), { bytes: 8 * MIB });
    await target.remove('zasov-full.age');
    await server.setQuota('plain', undefined);
  });

  await test('a service killed in the middle of an upload leaves no name, and the rest is swept', async (t) => {
    const target = quick();
    const body = mebibytes(40, async (index) => {
      // The first part is there, the second one is on its way.
      if (index === 35) await server.kill();
    });
    await t.rejects(target.put('zasov-killed.age', body), {
      code: 'backup_failed',
      message: /cannot be reached/,
    });
    await server.restart();
    t.same(await namesOf(target, 'zasov-'), []);
    t.equal((await collect(listUploads(rawClient('plain'), ''))).length, 1);
    await target.sweep(DAY_MS);
    t.equal((await collect(listUploads(rawClient('plain'), ''))).length, 1, 'it may still be under way');
    await target.sweep(0);
    t.same(await collect(listUploads(rawClient('plain'), '')), []);
    await target.put('zasov-killed.age', mebibytes(17));
    t.equal(await target.remove('zasov-killed.age'), 'removed');
  });

  await test('a service that is away for a moment costs an attempt and not the copy', async (t) => {
    const target = openS3Target(placeOf(), { clock: systemClock });
    let back: Promise<void> | undefined;
    const body = mebibytes(40, async (index) => {
      if (index !== 30) return;
      await server.kill();
      back = server.restart();
    });
    const { bytes } = await target.put('zasov-moment.age', body);
    await back;
    t.equal(bytes, 40 * MIB);
    await target.remove('zasov-moment.age');
  });

  await test('an upload that its source breaks off is given up at the service', async (t) => {
    const body = mebibytes(40, (index) => {
      if (index === 35) throw new Error('the dump failed');
    });
    await t.rejects(quick().put('zasov-broken.age', body), { message: 'the dump failed' });
    t.same(await collect(listUploads(rawClient('plain'), '')), []);
    t.same(await namesOf(quick(), 'zasov-'), []);
  });

  await test('a byte that is flipped on the way back is seen, and the copy is not kept', async (t) => {
    const proxy = await startTamperProxy(server.port);
    t.teardown(() => proxy.close());
    const target = quick({ endpoint: `http://127.0.0.1:${proxy.port}` });
    const marker = randomBytes(32).toString('hex');
    proxy.answer = (chunk) => {
      const at = chunk.indexOf(marker);
      const changed = Buffer.from(chunk);
      if (at !== -1) changed[at + 5] = (changed[at + 5] ?? 0) ^ 1;
      return changed;
    };
    await t.rejects(target.put('zasov-flipped.age', pieces(marker)), {
      code: 'backup_failed',
      message: /reads back from .* as something else/,
    });
    await t.rejects(
      quick({ bucket: 'locked', objectLockMs: DAY_MS, endpoint: `http://127.0.0.1:${proxy.port}` }).put(
        'zasov-flipped.age',
        pieces(marker),
      ),
      { message: /as something else/ },
    );
    t.same(await namesOf(quick(), 'zasov-'), []);
    t.notOk(
      (await namesOf(quick({ bucket: 'locked', objectLockMs: DAY_MS }), 'zasov-')).includes(
        'zasov-flipped.age',
      ),
    );
  });

  await test('a byte that is flipped on the way there is refused by the service', async (t) => {
    const proxy = await startTamperProxy(server.port);
    t.teardown(() => proxy.close());
    const marker = randomBytes(32).toString('hex');
    proxy.request = (chunk) => {
      const at = chunk.indexOf(marker);
      const changed = Buffer.from(chunk);
      if (at !== -1) changed[at + 5] = (changed[at + 5] ?? 0) ^ 1;
      return changed;
    };
    const target = quick({ endpoint: `http://127.0.0.1:${proxy.port}` });
    await t.rejects(target.put('zasov-flipped.age', pieces(marker)), { code: 'backup_failed' });
    t.same(await namesOf(quick(), 'zasov-'), []);
  });

  await test('an answer that gets lost is asked for again, and the copy is there once', async (t) => {
    const proxy = await startTamperProxy(server.port);
    t.teardown(() => proxy.close());
    const pauses: number[] = [];
    const target = quick({ endpoint: `http://127.0.0.1:${proxy.port}` }, pauses);
    for (const [name, body, last] of [
      ['zasov-small.age', () => pieces('small'), /^PUT .*zasov-small/],
      ['zasov-large.age', () => mebibytes(20), /^POST .*uploadId=/],
    ] as const) {
      let isLost = false;
      let wasLost = false;
      proxy.request = (chunk) => {
        if (!wasLost && last.test(chunk.toString('latin1', 0, 500))) isLost = true;
        return chunk;
      };
      proxy.answer = (chunk) => {
        if (!isLost) return chunk;
        [isLost, wasLost] = [false, true];
        return undefined;
      };
      const written = await target.put(name, body());
      t.ok(wasLost);
      t.equal((await readAll(target, name)).length, written.bytes);
      await target.remove(name);
    }
    t.ok(pauses.length >= 2);
  });

  await test('a line that breaks while an archive is read is taken up again where it broke', async (t) => {
    const proxy = await startTamperProxy(server.port);
    t.teardown(() => proxy.close());
    const target = quick({ endpoint: `http://127.0.0.1:${proxy.port}` });
    const { sha256 } = await target.put('zasov-resumed.age', mebibytes(20));
    let passed = 0;
    let breaks = 0;
    proxy.answer = (chunk) => {
      passed += chunk.length;
      if (passed < 3 * MIB || breaks === 5) return chunk;
      [passed, breaks] = [0, breaks + 1];
      return undefined;
    };
    const hash = createHash('sha256');
    for await (const chunk of target.read('zasov-resumed.age')) hash.update(chunk);
    t.equal(hash.digest('hex'), sha256);
    t.equal(breaks, 5);
    await target.remove('zasov-resumed.age');
  });

  await test('a service that stands still is waited for, and an ended copy does not wait', async (t) => {
    const target = quick();
    const controller = new AbortController();
    server.signal('SIGSTOP');
    const put = target.put('zasov-slow.age', mebibytes(1), { signal: controller.signal });
    const early = await Promise.race([
      put.catch(() => 'failed'),
      new Promise((r) => setTimeout(() => r('waits'), 1000)),
    ]);
    t.equal(early, 'waits');
    controller.abort(new Error('stopped'));
    await t.rejects(put, { message: /stopped/ });
    const second = target.put('zasov-slow.age', mebibytes(1));
    setTimeout(() => server.signal('SIGCONT'), 500);
    t.match(await second, { bytes: MIB });
    await target.remove('zasov-slow.age');
  });
}
