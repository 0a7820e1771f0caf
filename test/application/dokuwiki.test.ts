/**
 * A real application, unmodified, behind the gateway by policies alone (`dokuwiki.yaml` beside this file), used by a
 * client without scripts. `dokuwiki-browser.test.ts` does the same in Chromium.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { startDokuwiki } from '../support/dokuwiki.ts';
import { HttpsClient } from '../support/https-client.ts';
import { startGateway } from '../support/start-gateway.ts';
import { DokuwikiClient } from './dokuwiki-client.ts';

const OLD_PASSWORD = 'wiki-password-1';
const NEW_PASSWORD = 'wiki-password-2';

const wiki = await startDokuwiki({ olga: OLD_PASSWORD, boss: 'boss-password' });
const policy = readFileSync('test/application/dokuwiki.yaml', 'utf8');
const gateway = await startGateway(policy.replace('http://127.0.0.1:9555', wiki.origin));
const target = { host: 'localhost', port: gateway.port, ca: gateway.ca };
const clients: HttpsClient[] = [];
const begin = (jar?: CookieJar): { http: HttpsClient; wiki: DokuwikiClient } => {
  const http = new HttpsClient(target, jar);
  clients.push(http);
  return { http, wiki: new DokuwikiClient(http) };
};
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await wiki.stop();
});
const laptop = begin();
const phone = begin();

await test('a stranger is led to the login page and reads nothing', async (t) => {
  const answer = await laptop.wiki.open('/doku.php?id=start');
  t.equal(answer.status, 302);
  t.match(answer.header('location'), '/doku.php?id=start&do=login');
  t.equal((await laptop.wiki.open('/doku.php?id=start&do=login')).status, 200);
  t.equal((await laptop.wiki.open('/lib/exe/css.php?t=dokuwiki')).status, 200);
  t.equal(
    (await laptop.http.get('/lib/exe/ajax.php?call=linkwiz&q=start')).status,
    401,
    'scripts get 401, no redirect',
  );
});

await test('doors beside the login form are closed', async (t) => {
  t.equal((await laptop.http.get('/lib/exe/xmlrpc.php')).status, 403);
  t.equal((await laptop.http.get(`/doku.php?u=olga&p=${OLD_PASSWORD}&do=login`)).status, 403);
  const authorization = `Basic ${Buffer.from(`olga:${OLD_PASSWORD}`).toString('base64')}`;
  t.equal((await laptop.http.get('/doku.php?id=start&do=login', { headers: { authorization } })).status, 403);
});

await test('a wrong password begins no session', async (t) => {
  t.equal((await laptop.wiki.signIn('olga', 'guess')).status, 403);
  t.equal((await laptop.wiki.open('/doku.php?id=start')).status, 302);
});

await test('signing in begins a session under a new identifier', async (t) => {
  const before = laptop.http.jar.get(SESSION_COOKIE);
  const answer = await laptop.wiki.signIn('olga', OLD_PASSWORD);
  t.equal(answer.status, 302);
  t.equal(
    new URL(answer.header('location') ?? '', `https://localhost:${gateway.port}`).origin,
    `https://localhost:${gateway.port}`,
    'the redirect stays at the gateway',
  );
  t.ok(laptop.http.jar.get(SESSION_COOKIE));
  t.not(laptop.http.jar.get(SESSION_COOKIE), before);
  const page = await laptop.wiki.open('/doku.php?id=start');
  t.equal(page.status, 200);
  t.match(page.text, /Logged in as/);
  t.match(page.header('cache-control'), /private|no-store/);
});

await test('a page is edited and read back', async (t) => {
  const saved = await laptop.wiki.savePage('test:deal', '====== Сделка ======\n\nДва вагона //щебня//.\n');
  t.equal(saved.status, 302);
  const page = await laptop.wiki.open('/doku.php?id=test:deal');
  t.match(page.text, '<em>щебня</em>');
});

await test('a file is uploaded and comes back byte for byte, ranges too', async (t) => {
  const content = randomBytes(1_500_000);
  const uploaded = await laptop.wiki.upload('test', 'contract.zip', content);
  t.match(JSON.parse(uploaded.text), { success: true, id: 'test:contract.zip' });
  const path = '/lib/exe/fetch.php?media=test:contract.zip';
  const whole = await laptop.http.get(path);
  t.equal(whole.status, 200);
  t.ok(whole.body.equals(content));
  const part = await laptop.http.get(path, { headers: { range: 'bytes=1000-1999' } });
  t.equal(part.status, 206);
  t.ok(part.body.equals(content.subarray(1000, 2000)));
  const etag = whole.header('etag') ?? '';
  t.equal((await laptop.http.get(path, { headers: { 'if-none-match': etag } })).status, 304);
});

await test('a change of password ends every session of the person, on every device', async (t) => {
  // DokuWiki does not care about capitals and spaces in a login name, so the person is the same.
  t.equal((await phone.wiki.signIn(' Olga', OLD_PASSWORD)).status, 302);
  t.equal((await phone.wiki.open('/doku.php?id=start')).status, 200);

  t.equal((await laptop.wiki.changeProfile('not my password', NEW_PASSWORD)).status, 200);
  t.equal((await phone.wiki.open('/doku.php?id=start')).status, 200, 'a refused change ends nothing');
  t.equal((await laptop.wiki.changeProfile(OLD_PASSWORD, '')).status, 200);
  t.equal(
    (await phone.wiki.open('/doku.php?id=start')).status,
    200,
    'a change without a password ends nothing',
  );

  t.equal((await laptop.wiki.changeProfile(OLD_PASSWORD, NEW_PASSWORD)).status, 200);
  t.equal((await phone.wiki.open('/doku.php?id=start')).status, 302);
  t.equal((await laptop.wiki.open('/doku.php?id=start')).status, 302);
  t.equal((await phone.wiki.signIn('olga', OLD_PASSWORD)).status, 403);
  t.equal((await laptop.wiki.signIn('olga', NEW_PASSWORD)).status, 302);
});

await test('signing out ends the session, for a copy of its cookie too', async (t) => {
  t.equal((await laptop.wiki.open('/doku.php?id=start')).status, 200);
  const thief = begin(CookieJar.copyOf(laptop.http.jar));
  t.equal((await laptop.wiki.signOut()).status, 302);
  t.equal((await laptop.wiki.open('/doku.php?id=start')).status, 302);
  t.equal((await thief.wiki.open('/doku.php?id=start')).status, 302);
  t.equal(
    (await thief.http.get('/doku.php?id=start', { headers: { accept: 'application/json' } })).status,
    401,
  );
});

await test('no cookie of the wiki ever reached a client', async (t) => {
  const names = [...laptop.wiki.setCookies, ...phone.wiki.setCookies].map(
    (header) => header.split('=', 1)[0],
  );
  t.ok(names.length > 5);
  t.strictSame([...new Set(names)], [SESSION_COOKIE]);
  for (const { jar } of clients)
    t.strictSame(
      jar.names().filter((name) => name !== SESSION_COOKIE),
      [],
    );
});

await test('the log names no password, cookie or page content', async (t) => {
  const log = gateway.program.output.stdout + gateway.program.output.stderr;
  t.ok(log.length > 1000);
  for (const secret of [OLD_PASSWORD, NEW_PASSWORD, 'щебня', laptop.http.jar.get(SESSION_COOKIE) ?? 'v1.'])
    t.notMatch(log, secret);
});

await test('the gateway leaves cleanly on SIGTERM while clients keep their connections', async (t) => {
  t.equal(await gateway.program.stop(), 0);
});
