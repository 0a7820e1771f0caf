import { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { shareCounts } from '../../gateway/rate-limit/shared-counts.ts';
import { type SignInBlock, SignInLimit } from '../../gateway/rate-limit/sign-in-limit.ts';
import { openEmbeddedCounts } from '../../gateway/store/embedded-counts.ts';
import { ManualClock } from '../support/manual-clock.ts';

const MINUTE = 60_000;
const rule = { name: 'login', count: 3, windowMs: 15 * MINUTE, blockMs: 15 * MINUTE };

/** Fails until the door closes. @returns the block that began. */
async function failUntilClosed(limit: SignInLimit, name: string): Promise<SignInBlock | undefined> {
  let block: SignInBlock | undefined;
  while ((await limit.attempt(name)) === 0) block = (await limit.failed(name)) ?? block;
  return block;
}

void test('a door that closes again stays closed twice as long, up to a day', async (t) => {
  const clock = new ManualClock();
  const limit = new SignInLimit(rule, 'subject', clock);
  const minutes: number[] = [];
  for (let nth = 1; nth <= 9; nth += 1) {
    const block = await failUntilClosed(limit, 'anna');
    t.equal(block?.nth, nth);
    minutes.push((block?.forMs ?? 0) / MINUTE);
    t.equal(limit.attempt('anna'), block?.forMs);
    clock.advance((block?.forMs ?? 0) - 1);
    t.ok((await limit.attempt('anna')) > 0, 'closed to the last millisecond');
    clock.advance(1);
    // Four days in all would forget the first of them.
    if (nth === 7) break;
  }
  t.same(minutes, [15, 30, 60, 120, 240, 480, 960]);
  t.equal(limit.attempt('boris'), 0, 'nobody else is concerned');
  clock.advance(48 * 60 * MINUTE);
  t.equal((await failUntilClosed(limit, 'anna'))?.nth, 1, 'two quiet days forget');
});

void test('guesses that run at once count at once', (t) => {
  const limit = new SignInLimit(rule, 'client', new ManualClock());
  const passed = Array.from({ length: 100 }, () => limit.attempt('10.0.0.0/24')).filter((ms) => ms === 0);
  t.equal(passed.length, 3);
  t.end();
});

void test('an attempt that did not fail gives its place back, and no more than that', async (t) => {
  const limit = new SignInLimit(rule, 'subject', new ManualClock());
  for (let round = 0; round < 20; round += 1) {
    t.equal(limit.attempt('anna'), 0);
    limit.giveBack('anna');
  }
  limit.giveBack('anna');
  let failed = 0;
  while (limit.attempt('anna') === 0) {
    failed += 1;
    await limit.failed('anna');
  }
  t.equal(failed, 3);
});

void test('guesses that run at once in two processes count at once', async (t) => {
  const clock = new ManualClock();
  const counts = openEmbeddedCounts(':memory:', clock);
  const shared = shareCounts({ connection: undefined, counts }, parseKeyring(createMasterKey()), true);
  const both = [1, 2].map(() => new SignInLimit(rule, 'client', clock, shared));
  const tries = Array.from(
    { length: 100 },
    async (_, index) => await both[index % 2]?.attempt('10.0.0.0/24'),
  );
  t.equal((await Promise.all(tries)).filter((ms) => ms === 0).length, 3);
});

void test('a block is known to the other processes and outlives a restart', async (t) => {
  const clock = new ManualClock();
  const keyring = parseKeyring(createMasterKey());
  const counts = openEmbeddedCounts(':memory:', clock);
  const shared = shareCounts({ connection: undefined, counts }, keyring, true);
  const one = new SignInLimit(rule, 'subject', clock, shared);
  await failUntilClosed(one, 'anna');
  clock.advance(15 * MINUTE);
  const second = await failUntilClosed(one, 'anna');
  t.match(second, { nth: 2, forMs: 30 * MINUTE });
  await one.close();
  const two = new SignInLimit(rule, 'subject', clock, shared);
  t.equal(await two.attempt('anna'), 30 * MINUTE, 'from the first attempt on');
  clock.advance(29 * MINUTE);
  t.equal(await two.attempt('anna'), MINUTE);
  clock.advance(MINUTE);
  t.match(await failUntilClosed(two, 'anna'), { nth: 3, forMs: 60 * MINUTE });
});
