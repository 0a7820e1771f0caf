import { test } from 'tap';
import { FIREFOX, SETTINGS, SessionBench, tokenIn } from './session-bench.ts';

const { rotateEveryMs: R, graceMs: G } = SETTINGS;

void test('1: a known id is accepted at once, without a promise and without the store', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  bench.takeTrips();
  for (let count = 0; count < 20; count += 1) {
    bench.clock.advance(1000);
    const verdict = bench.service.authenticate(browser.token, FIREFOX, false);
    t.notOk(verdict instanceof Promise);
    t.match(verdict, { kind: 'live', due: false, session: { account: 'acme', subject: 'anna' } });
  }
  t.same(bench.takeTrips(), []);
});

void test('1: the same object serves every request of a family', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  await browser.request();
  const { session } = browser;
  session.derived = 'headers';
  await browser.moveOn();
  t.equal(browser.session, session);
  t.equal(browser.session.derived, 'headers');
});

void test('the Set-Cookie value has the one name, all attributes and the remaining lifetime', async (t) => {
  const bench = new SessionBench(t);
  const { setCookie } = await bench.service.begin({
    account: 'acme',
    subject: 'anna',
    context: FIREFOX,
    setCookies: [],
    replaces: undefined,
  });
  t.match(
    setCookie,
    /^__Host-Http-zasov=v1\.[\w.-]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200$/,
  );
  bench.clock.advance(R + 500);
  const verdict = await bench.service.authenticate(tokenIn(setCookie), FIREFOX, false);
  if (verdict.kind !== 'live') throw new Error('not live');
  t.match(await bench.service.rotate(verdict), /; Max-Age=43139$/);
});

void test('2: the id changes by itself, the owner notices nothing, two writes a rotation', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  const seen = new Set<string>();
  for (let rotation = 1; rotation <= 5; rotation += 1) {
    bench.takeTrips();
    bench.clock.advance(R);
    t.equal(await browser.request(), 'due');
    t.equal(await browser.request(), 'live');
    t.same(
      bench.takeTrips().filter((question) => question !== 'touch'),
      ['issue', 'use'],
    );
    seen.add(browser.token);
  }
  t.equal(seen.size, 5);
  t.equal(bench.events.filter((event) => event === 'rotated').length, 5);
  t.match(await bench.service.list({}), [{ generation: 5 }]);
});

void test('3: an answer that was lost is made up for after the gap, not before', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  bench.clock.advance(R);
  const old = browser.token;
  t.equal(await browser.request(), 'due');
  browser.token = old;
  t.equal(await browser.request(), 'live');
  bench.clock.advance(G / 4);
  t.equal(await browser.request(), 'due');
  t.not(browser.token, old);
  t.equal(await browser.request(), 'live');
});

void test('5, 18: of twenty parallel answers one carries a successor', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  bench.clock.advance(R);
  const verdicts = await Promise.all(Array.from({ length: 20 }, () => browser.present()));
  const cookies = await Promise.all(
    verdicts.map(async (verdict) => {
      if (verdict.kind !== 'live' || !verdict.due) throw new Error('not due');
      return bench.service.rotate(verdict);
    }),
  );
  t.equal(cookies.filter((cookie) => cookie !== undefined).length, 1);
});

void test('8, 9: an old id is accepted while it may be in flight, then it ends the family', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  const thief = browser.copy();
  await browser.moveOn();
  t.equal(await thief.request(), 'live', 'cannot be told from a request in flight');
  t.ok(bench.events.includes('grace'));
  bench.clock.advance(G + 1);
  t.equal(await browser.request(), 'live');
  t.equal(await thief.request(), 'reuse');
  t.equal(await browser.request(), 'reuse', 'both are out');
  t.same(bench.events.slice(-2), ['ended reuse', 'theft crash_regress anna']);
  bench.takeTrips();
  t.equal(await thief.request(), 'reuse');
  t.same(bench.takeTrips(), [], 'a dead id costs no store trip');
});

void test('9, 28: a reused id from a client that looks different, or an older one, is theft', async (t) => {
  for (const [moves, address] of [
    [1, '198.51.100.9'],
    [2, FIREFOX.clientAddress],
  ] as const) {
    const bench = new SessionBench(t);
    const browser = await bench.signIn('anna');
    const thief = browser.copy({ ...FIREFOX, clientAddress: address });
    for (let move = 0; move < moves; move += 1) await browser.moveOn();
    bench.clock.advance(G + 1);
    t.equal(await thief.request(), 'reuse');
    t.ok(bench.events.includes('theft reuse anna'));
    await bench.service.close();
  }
});

void test('11, 15: a thief who adopts every rotation is found and both are out', async (t) => {
  const bench = new SessionBench(t);
  const owner = await bench.signIn('anna');
  const thief = owner.copy();
  const startMs = bench.clock.now();
  let ended: string[] = [];
  while (ended.length < 2 && bench.clock.now() - startMs < 10 * R) {
    const answers = [];
    for (let poll = 0; poll < 100; poll += 1) {
      bench.clock.advance(50);
      answers.push(await thief.request());
    }
    answers.push(await owner.request(), await thief.request());
    ended = answers.slice(-2).filter((answer) => answer === 'reuse' || answer === 'fork');
  }
  t.equal(ended.length, 2);
  t.ok(bench.clock.now() - startMs <= R + G + 2 * 5000 + 1000, `${bench.clock.now() - startMs} ms`);
});

void test('13: a successor kept back by a thief dies once the owner is seen, although memory serves the owner', async (t) => {
  const bench = new SessionBench(t);
  const owner = await bench.signIn('anna');
  const thief = owner.copy();
  bench.clock.advance(R);
  await owner.request();
  bench.clock.advance(G / 4);
  t.equal(await thief.request(), 'due');
  t.not(thief.token, owner.token);
  await owner.request();
  bench.clock.advance(G + 1);
  t.equal(await owner.request(), 'live');
  bench.takeTrips();
  t.equal(await owner.request(), 'live');
  t.same(bench.takeTrips(), [], 'from now on without the store');
  t.equal(await thief.request(), 'reuse');
});

void test('14: a client that never adopts is ended as stubborn', async (t) => {
  const bench = new SessionBench(t);
  const thief = (await bench.signIn('anna')).copy();
  const { token } = thief;
  bench.clock.advance(R);
  for (let count = 0; count < 12; count += 1) {
    t.equal(await thief.request(), 'due');
    thief.token = token;
    bench.clock.advance(G / 4);
  }
  t.equal(await thief.request(), 'due');
  t.equal(await thief.request(), 'stubborn');
  t.ok(bench.events.includes('theft stubborn anna'));
});

void test('27: an answer that took minutes carries no successor and holds up nobody', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  bench.clock.advance(R);
  const slow = await browser.present();
  await browser.request();
  await browser.request();
  for (let rotation = 0; rotation < 4; rotation += 1) await browser.moveOn();
  bench.clock.advance(R);
  if (slow.kind !== 'live') throw new Error('not live');
  t.equal(await bench.service.rotate(slow), undefined);
  t.equal(await browser.request(), 'due');
  t.equal(await browser.request(), 'live');
});

void test('29: garbage is a stranger and never reaches the store', async (t) => {
  const bench = new SessionBench(t);
  const { token } = await bench.signIn('anna');
  bench.takeTrips();
  const texts = [
    '',
    'x',
    token.slice(0, -1),
    `${token}x`,
    'v1.'.repeat(1400),
    token.replace('v1.1.', 'v1.2.'),
  ];
  for (const text of texts) t.same(bench.service.authenticate(text, FIREFOX, false), { kind: 'none' });
  t.same(bench.takeTrips(), []);
});

void test('34: sessions live through a change of the master key, and a retired key makes strangers', async (t) => {
  const bench = new SessionBench(t);
  const cookie = { name: 'SID', value: 'upstream', path: '/', expiresAtMs: undefined };
  const browser = await bench.signIn('anna', { setCookies: [cookie] });
  const frozen = browser.copy();
  const newer = `next:${Buffer.alloc(32, 9).toString('base64url')}`;
  bench.masterKey = `${newer}\n${bench.masterKey}`;
  await bench.restart();
  t.equal(await browser.request(), 'live');
  t.equal(browser.session.jarValue('SID'), 'upstream');
  await browser.moveOn();
  t.match(browser.token, /^v1\.next\./);
  t.equal(await bench.service.endPerson('acme', 'boris', 'credentials'), 0);
  t.match(await bench.service.list({ account: 'acme', subject: 'anna' }), [{ subject: 'anna' }]);
  bench.masterKey = newer;
  await bench.restart();
  t.equal(await frozen.request(), 'none');
  t.equal(
    await browser.request(),
    'revoked',
    'what was sealed under the retired key is lost, so sign in again',
  );
});

void test('a session survives a restart with its cookies, and an end survives it too', async (t) => {
  const bench = new SessionBench(t);
  const cookie = { name: 'SID', value: 'upstream', path: '/', expiresAtMs: undefined };
  const [anna, boris] = [await bench.signIn('anna', { setCookies: [cookie] }), await bench.signIn('boris')];
  await bench.service.end(boris.session, 'logout');
  await anna.moveOn();
  await bench.restart();
  t.equal(await anna.request(), 'live');
  t.equal(anna.session.jarHeader('/'), 'SID=upstream');
  t.equal(await boris.request(), 'logout');
});

void test('a store that is away refuses with 503, and nobody is signed out by it', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  await bench.restart();
  await bench.store.close();
  await t.rejects(browser.request(), { code: 'store_unavailable', retryAfterSeconds: 1 });
  bench.reopen();
  t.equal(await browser.request(), 'live');
  t.same(
    bench.events.filter((event) => event.startsWith('ended')),
    [],
  );
});

void test('a clock that jumps an hour ahead is idleness and nothing else', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  bench.clock.advance(-5000);
  t.equal(await browser.request(), 'live');
  bench.clock.advance(10_000);
  t.equal(await browser.request(), 'live');
  bench.clock.advance(3_600_000);
  t.equal(await browser.request(), 'idle');
  t.same(bench.events, ['ended idle']);
});
