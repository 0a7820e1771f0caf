import { test } from 'tap';
import type { ClientContext, Verdict } from '../../gateway/session/session.ts';
import { FIREFOX, SETTINGS, SessionBench } from './session-bench.ts';

const MINUTE_MS = 60_000;
const ANNA: ClientContext = { ...FIREFOX, certificate: 'aa'.repeat(32) };
const BORIS: ClientContext = { ...FIREFOX, certificate: 'bb'.repeat(32) };

/** An administrator at a browser: takes every new id, as browsers do. */
class Desk {
  token: string;
  readonly #bench: SessionBench;

  constructor(bench: SessionBench, setCookie: string) {
    this.#bench = bench;
    this.token = tokenOf(setCookie);
  }

  static async open(bench: SessionBench, context = ANNA, subject = 'Anna'): Promise<Desk> {
    const begun = await bench.service.begin({
      account: 'acme',
      subject,
      context,
      setCookies: [],
      replaces: undefined,
    });
    return new Desk(bench, begun.setCookie);
  }

  async ask(context = ANNA): Promise<string> {
    const verdict: Verdict = await this.#bench.service.authenticate(this.token, context, false);
    if (verdict.kind !== 'live') return verdict.kind === 'ended' ? verdict.reason : verdict.kind;
    const next = verdict.due ? await this.#bench.service.rotate(verdict) : undefined;
    if (next !== undefined) this.token = tokenOf(next);
    return 'live';
  }
}

function tokenOf(setCookie: string): string {
  const token = /^__Host-Http-zasov-admin=([^;]+);/.exec(setCookie)?.[1];
  if (token === undefined) throw new Error(`no administrator's cookie: ${setCookie}`);
  return token;
}

void test('an administrator’s session ends after fifteen minutes of silence, also after a restart', async (t) => {
  const bench = new SessionBench(t);
  const desk = await Desk.open(bench);
  for (let count = 0; count < 5; count += 1) {
    bench.clock.advance(14 * MINUTE_MS);
    t.equal(await desk.ask(), 'live');
    if (count === 2) await bench.restart();
  }
  bench.clock.advance(15 * MINUTE_MS);
  t.equal(await desk.ask(), 'idle');
});

void test('it ends after eight hours, however busy, and says so to the browser from the beginning', async (t) => {
  const bench = new SessionBench(t);
  const { setCookie } = await bench.service.begin({
    account: 'acme',
    subject: 'Anna',
    context: ANNA,
    setCookies: [],
    replaces: undefined,
  });
  t.match(setCookie, /; Max-Age=28800$/);
  const desk = new Desk(bench, setCookie);
  for (let minutes = 0; minutes < 8 * 60 - 10; minutes += 10) {
    bench.clock.advance(10 * MINUTE_MS);
    t.equal(await desk.ask(), 'live');
  }
  bench.clock.advance(10 * MINUTE_MS);
  t.equal(await desk.ask(), 'lifetime');
});

void test('where people’s sessions are shorter still, so is an administrator’s', async (t) => {
  const bench = new SessionBench(t, { idleMs: 5 * MINUTE_MS, lifetimeMs: 60 * MINUTE_MS });
  const desk = await Desk.open(bench);
  bench.clock.advance(5 * MINUTE_MS);
  t.equal(await desk.ask(), 'idle');
});

void test('the silence of people is as long as before', async (t) => {
  const bench = new SessionBench(t);
  const person = await bench.signIn('anna');
  bench.clock.advance(SETTINGS.idleMs - 1000);
  t.equal(await person.request(), 'due');
});

void test('a stream of an administrator ends with the silence', async (t) => {
  const bench = new SessionBench(t);
  const begun = await bench.service.begin({
    account: 'acme',
    subject: 'Anna',
    context: ANNA,
    setCookies: [],
    replaces: undefined,
  });
  const closed: string[] = [];
  bench.service.attach(begun.session, { close: (reason) => void closed.push(reason) });
  bench.clock.advance(15 * MINUTE_MS);
  await bench.service.tick();
  t.same(closed, ['idle']);
});

void test('its id rotates like all others, and an old one that comes back ends it', async (t) => {
  const bench = new SessionBench(t);
  const desk = await Desk.open(bench);
  const first = desk.token;
  for (let count = 0; count < 4; count += 1) {
    bench.clock.advance(SETTINGS.rotateEveryMs);
    t.equal(await desk.ask(), 'live');
    t.equal(await desk.ask(), 'live');
  }
  t.not(desk.token, first);
  desk.token = first;
  t.equal(await desk.ask(), 'reuse');
});

for (const [who, context] of [
  ['without the certificate', FIREFOX],
  ['with the other’s', BORIS],
] as const)
  for (const isRestarted of [false, true])
    void test(`${who} it ends as stolen${isRestarted ? ', also when this process does not know it' : ''}`, async (t) => {
      const bench = new SessionBench(t);
      const desk = await Desk.open(bench);
      if (isRestarted) await bench.restart();
      t.equal(await desk.ask(context), 'context');
      t.same(
        bench.events.filter((event) => event.startsWith('theft')),
        ['theft certificate Anna'],
      );
      t.equal(await desk.ask(), 'context', 'for her too');
    });

void test('a person’s session is worth nothing to an administrator either', async (t) => {
  const bench = new SessionBench(t);
  const person = await bench.signIn('olga');
  const verdict = await bench.service.authenticate(person.token, ANNA, false);
  t.match(verdict, { kind: 'ended', reason: 'context' });
});

void test('an administrator is nobody of the account, whatever their name', async (t) => {
  const bench = new SessionBench(t);
  const person = await bench.signIn('Anna');
  const desk = await Desk.open(bench);
  t.equal(await bench.service.endPerson('acme', 'Anna', 'credentials'), 1);
  t.equal(await person.request(), 'credentials');
  t.equal(await desk.ask(), 'live');
  t.match(await bench.service.list({ account: 'acme', subject: 'anna' }), []);
  t.match(await bench.service.list({ account: 'acme', subject: 'Anna', kind: 'administrator' }), [
    { subject: 'Anna', administrator: true },
  ]);
  t.equal(await bench.service.endAdministrator('acme', 'Anna', 'revoked'), 1);
  t.equal(await desk.ask(), 'revoked');
});
