import { test } from 'tap';
import { FIREFOX, SETTINGS, SessionBench } from './session-bench.ts';

const { graceMs: G } = SETTINGS;

void test('28: with crash_grace a browser that came back with the previous id goes on once', async (t) => {
  const bench = new SessionBench(t, { crashGrace: true });
  const browser = await bench.signIn('anna');
  const crashed = browser.copy();
  await browser.moveOn();
  bench.clock.advance(5000);
  t.equal(await crashed.request(), 'live', 'still within the grace');
  bench.clock.advance(G);
  t.equal(await crashed.request(), 'live');
  t.equal(bench.events.at(-1), 'theft crash_regress anna');
  t.equal(await browser.request(), 'reuse', 'the newer id was given up');
});

void test('28: crash_grace is no way in while the newer id works, even served from memory', async (t) => {
  const bench = new SessionBench(t, { crashGrace: true });
  const browser = await bench.signIn('anna');
  const thief = browser.copy();
  await browser.moveOn();
  bench.clock.advance(G);
  t.equal(await browser.request(true), 'live');
  bench.clock.advance(1000);
  t.equal(await thief.request(), 'reuse');
});

void test('28: crash_grace is no way in from another network', async (t) => {
  const bench = new SessionBench(t, { crashGrace: true });
  const browser = await bench.signIn('anna');
  const thief = browser.copy({ ...FIREFOX, clientAddress: '198.51.100.9' });
  await browser.moveOn();
  bench.clock.advance(G + 1);
  t.equal(await thief.request(), 'reuse');
  t.equal(await browser.request(), 'reuse');
});
