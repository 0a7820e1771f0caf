import { test } from 'tap';
import { FIREFOX, SETTINGS, SessionBench } from './session-bench.ts';

const { rotateEveryMs: R, graceMs: G, idleMs: IDLE, lifetimeMs: LIFETIME } = SETTINGS;

void test('30: an id planted before login is worth nothing after it', async (t) => {
  const bench = new SessionBench(t);
  const planted = await bench.signIn(undefined);
  const attacker = planted.copy();
  t.equal(await attacker.request(), 'live');
  const victim = await bench.signIn('anna', { replaces: planted.session });
  t.not(victim.token.split('.')[2], planted.token.split('.')[2], 'another family');
  t.equal(await attacker.request(), 'login');
  t.equal(await victim.request(), 'live');
});

void test('the upstream cookie moves over at login, then the login answer applies to it', async (t) => {
  const bench = new SessionBench(t);
  const cookie = (name: string, value: string) => ({ name, value, path: '/', expiresAtMs: undefined });
  const before = await bench.signIn(undefined, { setCookies: [cookie('SID', 'csrf'), cookie('lang', 'ru')] });
  const after = await bench.signIn('anna', {
    replaces: before.session,
    setCookies: [cookie('SID', 'fresh')],
  });
  t.equal(after.session.jarHeader('/'), 'SID=fresh; lang=ru');
  await bench.restart();
  await after.request();
  t.equal(after.session.jarHeader('/'), 'SID=fresh; lang=ru');
});

void test('a login form that was sent twice signs in twice, both with the upstream cookie', async (t) => {
  const bench = new SessionBench(t);
  const setCookies = [{ name: 'SID', value: 'same', path: '/', expiresAtMs: undefined }];
  const before = await bench.signIn(undefined, { setCookies });
  const [first, second] = await Promise.all([
    bench.signIn('anna', { replaces: before.session }),
    bench.signIn('anna', { replaces: before.session }),
  ]);
  for (const browser of [first, second]) {
    t.equal(await browser?.request(), 'live');
    t.equal(browser?.session.jarHeader('/'), 'SID=same');
  }
});

void test('a login that follows a session which was ended for another reason inherits nothing', async (t) => {
  const bench = new SessionBench(t);
  const setCookies = [{ name: 'SID', value: 'old', path: '/', expiresAtMs: undefined }];
  const before = await bench.signIn('anna', { setCookies });
  await bench.service.end(before.session, 'revoked');
  t.equal(before.session.jarHeader('/'), '');
  const after = await bench.signIn('anna', { replaces: before.session });
  t.equal(after.session.jarHeader('/'), '');
});

void test('anonymous sessions live shortly, are not counted and have no person', async (t) => {
  const bench = new SessionBench(t, { anonymous: { lifetimeMs: 10 * 60_000 } });
  const browser = await bench.signIn(undefined);
  t.equal(browser.session.subject, undefined);
  t.equal(await bench.service.count(), 0);
  t.match(await bench.service.list({}), [{ state: 'anonymous', subject: undefined }]);
  bench.clock.advance(10 * 60_000 - 1);
  t.equal(await browser.request(), 'due');
  bench.clock.advance(1);
  t.equal(await browser.request(), 'lifetime');
});

void test('a client that looks different ends the session at once, known to memory or not', async (t) => {
  for (const isKnown of [true, false]) {
    const bench = new SessionBench(t);
    const browser = await bench.signIn('anna');
    const thief = browser.copy({ ...FIREFOX, userAgent: 'curl' });
    if (!isKnown) await bench.restart();
    t.equal(await thief.request(), 'context');
    t.equal(await browser.request(), 'context');
    t.same(bench.events, ['ended context', 'theft context anna']);
    await bench.service.close();
  }
});

void test('several requests of a thief are one theft', async (t) => {
  const bench = new SessionBench(t);
  const thief = (await bench.signIn('anna')).copy({ ...FIREFOX, userAgent: 'curl' });
  await Promise.all([thief.request(), thief.request(), thief.request()]);
  t.same(bench.events, ['ended context', 'theft context anna']);
});

void test('bound to the network, an address of the same network is fine and another one is not', async (t) => {
  const bench = new SessionBench(t, { bind: { userAgent: false, network: true } });
  const browser = await bench.signIn('anna');
  const phone = browser.copy({ userAgent: 'updated browser', clientAddress: '192.0.2.99' });
  t.equal(await phone.request(), 'live');
  t.equal(await browser.request(), 'live');
  const elsewhere = browser.copy({ ...FIREFOX, clientAddress: '192.0.3.7' });
  t.equal(await elsewhere.request(), 'context');
});

void test('unbound, a client may change its address and its user agent', async (t) => {
  const bench = new SessionBench(t, { bind: { userAgent: false, network: false } });
  const browser = await bench.signIn('anna');
  t.equal(await browser.copy({ userAgent: 'other', clientAddress: '2001:db8::1' }).request(), 'live');
});

void test('32: a change of password ends every session of the person and of nobody else', async (t) => {
  const bench = new SessionBench(t);
  const mine = [await bench.signIn('anna'), await bench.signIn('anna'), await bench.signIn('anna')];
  const other = await bench.signIn('boris');
  const namesake = await bench.signIn('anna', { account: 'globex' });
  t.equal(await bench.service.endPerson('acme', 'anna', 'credentials'), 3);
  for (const browser of mine) {
    t.equal(browser.session.ended, 'credentials', 'requests under way see it at once');
    t.equal(await browser.request(), 'credentials');
  }
  t.equal(await other.request(), 'live');
  t.equal(await namesake.request(), 'live');
  t.equal(await bench.service.endPerson('acme', 'anna', 'credentials'), 0);
});

void test('33: after a logout in one tab nothing of another tab brings the session back', async (t) => {
  const bench = new SessionBench(t);
  const tabA = await bench.signIn('anna');
  const tabB = tabA.copy();
  bench.clock.advance(R);
  const waiting = await tabB.present();
  if (waiting.kind !== 'live') throw new Error('not live');
  await bench.service.end(tabA.session, 'logout');
  t.equal(waiting.session.ended, 'logout');
  t.equal(await bench.service.rotate(waiting), undefined, 'the late answer carries no cookie');
  const late = [{ name: 'SID', value: 'late', path: '/', expiresAtMs: undefined }];
  t.equal(await bench.service.storeCookies(waiting.session, waiting.session.jarVersion, late), false);
  t.equal(await tabB.request(), 'logout');
  t.equal(await bench.service.endById(tabA.session.id, 'revoked'), false);
  await bench.restart();
  t.equal(await tabB.request(), 'logout');
});

void test('17: an end that comes between a question to the store and its answer wins', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  bench.clock.advance(R);
  const due = await browser.present();
  if (due.kind !== 'live') throw new Error('not live');
  const pending = bench.service.rotate(due);
  const ending = bench.service.end(browser.session, 'revoked');
  t.equal(await pending, undefined);
  await ending;
  const other = await bench.signIn('boris');
  await bench.restart();
  const [answer] = await Promise.all([other.request(), bench.service.endById(other.session.id, 'revoked')]);
  t.equal(answer, 'revoked', 'asked first, answered after the end');
});

void test('beyond per_subject the session unused for longest is evicted', async (t) => {
  const bench = new SessionBench(t, { perSubject: 2 });
  const first = await bench.signIn('anna');
  bench.clock.advance(60_000);
  const second = await bench.signIn('anna');
  bench.clock.advance(60_000);
  await first.request();
  await bench.signIn('anna');
  t.equal(await second.request(), 'evicted');
  t.match(await first.request(), /live|due/);
  t.equal(await bench.service.count(), 2);
});

void test('25: idleness is counted from the last activity, to the millisecond, over a restart too', async (t) => {
  const bench = new SessionBench(t, { rotateEveryMs: 24 * 3_600_000 });
  const browser = await bench.signIn('anna');
  bench.clock.advance(10_000);
  t.equal(await browser.request(), 'live');
  await bench.restart();
  bench.clock.advance(IDLE - 1);
  t.equal(await browser.request(), 'live');
  bench.clock.advance(IDLE);
  t.equal(await browser.request(), 'idle');
});

void test('passive requests are served and keep nobody signed in', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  for (let passed = 0; passed < IDLE - 30_000; passed += 30_000) {
    bench.clock.advance(30_000);
    t.match(await browser.request(true), /live|due/);
  }
  bench.clock.advance(30_000);
  t.equal(await browser.request(true), 'idle');
});

void test('a session ends with its lifetime, and its id is still known for what it was', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  for (let passed = 0; passed < LIFETIME - IDLE / 2; passed += IDLE / 2) {
    bench.clock.advance(IDLE / 2);
    await browser.request();
  }
  bench.clock.advance(IDLE / 2);
  t.equal(await browser.request(), 'lifetime');
  await bench.service.tick();
  await bench.restart();
  t.equal(await browser.request(), 'lifetime', 'genuine but forgotten by the store');
});

void test('activity is written now and then, not with every request, and all of it when closing', async (t) => {
  const bench = new SessionBench(t, { rotateEveryMs: 24 * 3_600_000 });
  const browser = await bench.signIn('anna');
  bench.takeTrips();
  for (let second = 0; second < 120; second += 1) {
    bench.clock.advance(1000);
    await browser.request();
  }
  t.equal(bench.takeTrips().length, 4);
  bench.clock.advance(20_000);
  await browser.request();
  const lastMs = bench.clock.now();
  await bench.service.close();
  t.same(bench.takeTrips(), ['touch']);
  bench.clock.advance(1000);
  t.match(await bench.service.list({}), [{ last_seen_at: new Date(lastMs).toISOString() }]);
});

void test('sessions are listed by account and person, newest first, with nothing secret', async (t) => {
  const bench = new SessionBench(t);
  const anna = await bench.signIn('anna');
  bench.clock.advance(1000);
  await bench.signIn('anna', { account: 'globex' });
  bench.clock.advance(1000);
  await bench.signIn('boris');
  const subjects = async (filter: { account?: string; subject?: string }): Promise<string[]> =>
    (await bench.service.list(filter)).map((row) => `${row.subject}@${row.account}`);
  t.same(await subjects({}), ['boris@acme', 'anna@globex', 'anna@acme']);
  t.same(await subjects({ account: 'acme' }), ['boris@acme', 'anna@acme']);
  t.same(await subjects({ subject: 'anna' }), ['anna@globex', 'anna@acme']);
  t.same(await subjects({ account: 'acme', subject: 'anna' }), ['anna@acme']);
  const [row] = await bench.service.list({ account: 'acme', subject: 'anna' });
  t.same(row, {
    id: anna.session.id,
    account: 'acme',
    subject: 'anna',
    state: 'active',
    created_at: '2027-01-15T08:00:00.000Z',
    last_seen_at: '2027-01-15T08:00:00.000Z',
    generation: 0,
    user_agent: 'Firefox',
    network: '192.0.2.0/24',
  });
  t.notOk(anna.token.includes(row?.id ?? ''));
  t.notOk(
    JSON.stringify(anna.session).includes(anna.token.split('.')[2] ?? ''),
    'nor is a session that is logged',
  );
});

void test('a reloaded policy applies to sessions that are open', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna');
  bench.clock.advance(G);
  t.equal(await browser.request(), 'live');
  bench.service.configure({ ...SETTINGS, rotateEveryMs: G, graceMs: G / 2 });
  t.equal(await browser.request(), 'due');
  bench.service.configure({ ...SETTINGS, bind: { userAgent: false, network: true } });
  t.equal(await browser.copy({ ...FIREFOX, clientAddress: '198.51.100.1' }).request(), 'context');
});
