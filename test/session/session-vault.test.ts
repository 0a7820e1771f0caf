import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { parseSetCookie } from '../../gateway/core/cookie.ts';
import type { SetCookie } from '../../gateway/core/cookie.ts';
import { FIREFOX, SessionBench } from './session-bench.ts';

const set = (bench: SessionBench, header: string): SetCookie[] => {
  const cookie = parseSetCookie(header, bench.clock.now());
  return cookie === undefined ? [] : [cookie];
};

void test('of six parallel answers to a stale cookie one is kept', async (t) => {
  const bench = new SessionBench(t);
  const { session } = await bench.signIn('anna', { setCookies: set(bench, 'SID=stale') });
  const sentVersion = session.jarVersion;
  const stored = await Promise.all(
    [1, 2, 3, 4, 5, 6].map((number) =>
      bench.service.storeCookies(session, sentVersion, set(bench, `SID=fresh${number}`)),
    ),
  );
  t.same(stored, [true, false, false, false, false, false]);
  t.equal(session.jarValue('SID'), 'fresh1');
  t.equal(session.jarVersion, sentVersion + 1);
});

void test('an answer to a request that began before the last change changes nothing', async (t) => {
  const bench = new SessionBench(t);
  const { session } = await bench.signIn('anna');
  const early = session.jarVersion;
  t.equal(await bench.service.storeCookies(session, early, set(bench, 'SID=first')), true);
  t.equal(await bench.service.storeCookies(session, early, set(bench, 'SID=late')), false);
  t.equal(session.jarHeader('/'), 'SID=first');
});

void test('an answer that repeats the cookie costs no write', async (t) => {
  const bench = new SessionBench(t);
  const { session } = await bench.signIn('anna', { setCookies: set(bench, 'SID=same; path=/crm') });
  bench.takeTrips();
  t.equal(
    await bench.service.storeCookies(session, session.jarVersion, set(bench, 'SID=same; path=/crm')),
    true,
  );
  t.same(bench.takeTrips(), []);
});

void test('stored cookies are there after a restart, deleted ones are not', async (t) => {
  const bench = new SessionBench(t);
  const browser = await bench.signIn('anna', { setCookies: set(bench, 'gone=1') });
  const { session } = browser;
  await bench.service.storeCookies(session, session.jarVersion, set(bench, 'gone=x; Max-Age=0'));
  await bench.service.storeCookies(session, session.jarVersion, set(bench, 'SID=kept; Path=/crm'));
  await bench.restart();
  await browser.request();
  t.equal(browser.session.jarHeader('/crm/leads'), 'SID=kept');
  t.equal(browser.session.jarHeader('/'), '');
});

void test('a jar that somebody swapped in the store ends the session instead of serving it', async (t) => {
  const bench = new SessionBench(t);
  const anna = await bench.signIn('anna', { setCookies: set(bench, 'SID=anna') });
  const boris = await bench.signIn('boris', { setCookies: set(bench, 'SID=boris') });
  const [stored] = (await bench.store.list()).filter((family) => family.id === boris.session.id);
  await bench.store.replaceJar(anna.session.id, stored?.jar ?? new Uint8Array(), 0);
  await bench.restart();
  t.equal(await anna.request(), 'revoked');
  t.equal(await boris.request(), 'live');
});

void test('35: the files of a working store hold no live token, family id, cookie or name', async (t) => {
  const bench = new SessionBench(t);
  const secrets = new Set<string>([
    'anna.petrova',
    'boris.orlov',
    'tenant-acme',
    FIREFOX.userAgent,
    '192.0.2',
  ]);
  for (const subject of ['anna.petrova', 'boris.orlov']) {
    const value = `upstream-secret-${subject.length}`;
    secrets.add(value);
    const browser = await bench.signIn(subject, {
      account: 'tenant-acme',
      setCookies: set(bench, `CRMSESSID=${value}`),
    });
    for (let rotation = 0; rotation < 3; rotation += 1) {
      await browser.moveOn();
      const [, , family = '', , , random = '', mac = ''] = browser.token.split('.');
      for (const part of [browser.token, family, random, mac]) secrets.add(part);
    }
    await bench.service.storeCookies(browser.session, browser.session.jarVersion, set(bench, `t=${value}2`));
  }
  secrets.add(bench.masterKey.slice(2).trim());
  const folder = dirname(bench.path);
  const names = readdirSync(folder);
  t.ok(names.includes('sessions.db-wal'), 'the log is looked at too');
  const dump = Buffer.concat(names.map((name) => readFileSync(join(folder, name))));
  const [family] = await bench.store.list();
  t.ok(dump.includes(family?.id ?? '?'), 'the dump is what the store wrote');
  for (const secret of secrets) {
    const raw = Buffer.from(secret, 'base64url');
    t.notOk(dump.includes(secret), secret);
    if (raw.length >= 16) t.notOk(dump.includes(raw), `${secret} as bytes`);
    if (raw.length >= 16) t.notOk(dump.includes(raw.toString('hex')), `${secret} as hex`);
  }
});
