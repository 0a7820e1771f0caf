import { test } from 'tap';
import type { EndReason } from '../../gateway/store/session-store.ts';
import { SETTINGS, SessionBench } from './session-bench.ts';
import type { Browser } from './session-bench.ts';

const { idleMs: IDLE, lifetimeMs: LIFETIME } = SETTINGS;

/** Opens a stream and notes why it was closed. */
function open(bench: SessionBench, browser: Browser): { closed: EndReason[]; detach: () => void } {
  const closed: EndReason[] = [];
  const detach = bench.service.attach(browser.session, { close: (reason) => closed.push(reason) });
  return { closed, detach };
}

void test('26: streams stay open through rotations and close, once, the moment the session ends', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  const streams = [open(bench, browser), open(bench, browser)];
  const gone = open(bench, browser);
  gone.detach();
  for (let rotation = 0; rotation < 10; rotation += 1) await browser.moveOn();
  t.same(
    streams.map((stream) => stream.closed),
    [[], []],
  );
  const ending = bench.service.endById(browser.session.id, 'revoked');
  t.same(
    streams.map((stream) => stream.closed),
    [['revoked'], ['revoked']],
    'in the same tick',
  );
  await ending;
  await bench.service.endById(browser.session.id, 'logout');
  t.same(
    streams.map((stream) => stream.closed),
    [['revoked'], ['revoked']],
  );
  t.same(gone.closed, []);
});

void test('a stream that is attached to an ended session closes at once', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  await bench.service.end(browser.session, 'logout');
  t.same(open(bench, browser).closed, ['logout']);
});

void test('25: a stream with nothing but server pushes closes when the session is idle', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  const stream = open(bench, browser);
  bench.clock.advance(IDLE - 1);
  await bench.service.tick();
  t.same(stream.closed, []);
  bench.clock.advance(1);
  await bench.service.tick();
  t.same(stream.closed, ['idle']);
  t.equal(await browser.request(), 'idle');
});

void test('25: a person at work on a stream is not idle, but the lifetime ends it all the same', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  const stream = open(bench, browser);
  const startMs = bench.clock.now();
  while (bench.clock.now() - startMs < LIFETIME - IDLE / 2) {
    bench.clock.advance(IDLE / 2);
    bench.service.activity(browser.session);
    await bench.service.tick();
  }
  t.same(stream.closed, []);
  bench.clock.advance(IDLE / 2);
  bench.service.activity(browser.session);
  await bench.service.tick();
  t.same(stream.closed, ['lifetime']);
});

void test('a frame that comes after the idle limit brings nobody back', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  const stream = open(bench, browser);
  bench.clock.advance(IDLE);
  bench.service.activity(browser.session);
  await bench.service.tick();
  t.same(stream.closed, ['idle']);
});

void test('the tick ends sessions that were left behind, and forgets those past their lifetime', async (t) => {
  const bench = new SessionBench(t);
  await bench.signIn('anna');
  bench.clock.advance(IDLE + 30_000);
  const boris = await bench.signIn('boris');
  await bench.service.tick();
  t.same(bench.events, ['ended idle']);
  t.match(await bench.service.list({}), [{ subject: 'boris' }]);
  t.equal(await bench.service.count(), 1);
  t.equal(await boris.request(), 'live');
});

void test('requests under way see the end of a session that memory had no room for', async (t) => {
  const bench = new SessionBench(t, {}, 4);
  const browser = await bench.signIn('anna');
  const { session } = browser;
  for (let count = 0; count < 40; count += 1) await bench.signIn(`person ${count}`);
  bench.takeTrips();
  t.equal(await browser.request(), 'live');
  t.ok(bench.takeTrips().includes('use'), 'it had been dropped');
  t.equal(browser.session, session, 'and comes back as the same object while somebody holds it');
  for (let count = 0; count < 40; count += 1) await bench.signIn(`other ${count}`);
  await bench.service.endPerson('acme', 'anna', 'credentials');
  t.equal(session.ended, 'credentials');
});

void test('a session with an open stream is never dropped from memory', async (t) => {
  const bench = new SessionBench(t, {}, 4);
  const browser = await bench.signIn('anna');
  const stream = open(bench, browser);
  for (let count = 0; count < 40; count += 1) await bench.signIn(`person ${count}`);
  bench.takeTrips();
  t.equal(await browser.request(), 'live');
  t.same(bench.takeTrips(), []);
  await bench.service.endById(browser.session.id, 'revoked');
  t.same(stream.closed, ['revoked']);
});
