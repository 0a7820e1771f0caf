/**
 * The demo as a person meets it: a real Chromium, ten tabs, short rotations (R = 3 s, G = 1 s), nobody logged out.
 * Certificates are checked against the demo's own authority. Pictures go to `ZASOV_SCREENSHOTS`.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import tap, { test } from 'tap';
import { KNOWN_COOKIE } from '../../gateway/pipeline/known-client.ts';
import { WROTE_COOKIE } from '../../gateway/pipeline/own-writes.ts';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { launchBrowser, takePicture } from '../support/browser.ts';
import { startDemo, temporaryDirectory } from '../support/start-gateway.ts';

const TABS = 10;
const ROTATE_MS = 3000;
const ROTATIONS = 5;
const PATHS = ['/', '/leads', '/contacts', '/profile', '/leads?stage=won', '/contacts?page=2', '/leads/new'];

const demo = await startDemo(['--policies', quickPolicies()]);
const origin = `https://acme.crm.localhost:${demo.port}`;
const browser = await launchBrowser(demo.ca);
const context = await browser.newContext({ locale: 'en-GB' });
context.setDefaultTimeout(15_000);
tap.teardown(async () => {
  await browser.close();
  await demo.program.stop();
});
const tabs: Page[] = [];
const identifiers = new Set<string>();

/** The demo's own policies with nothing changed but the pace of rotation. */
function quickPolicies(): string {
  const folder = join(temporaryDirectory(), 'policies');
  cpSync('policies', folder, { recursive: true });
  for (const name of globSync('*.yaml', { cwd: folder })) {
    const file = join(folder, name);
    const text = readFileSync(file, 'utf8')
      .replace(/rotate_every: \w+/, 'rotate_every: 3s')
      .replace(/grace: \w+/, 'grace: 1s');
    writeFileSync(file, text);
  }
  return folder;
}

async function sessionCookie(): Promise<string | undefined> {
  const cookie = (await context.cookies(origin)).find(({ name }) => name === SESSION_COOKIE);
  if (cookie !== undefined) identifiers.add(cookie.value);
  return cookie?.value;
}

async function signIn(page: Page, password: string): Promise<void> {
  await page.goto(`${origin}/`);
  await page.fill('input[name=username]', 'boris');
  await page.fill('input[name=password]', password);
  await page.click('button.primary');
  await page.waitForSelector('header.top .who');
}

/** Opens a page even while another navigation of the tab is still on its way, which may cancel this one. */
async function open(tab: Page, path: string): Promise<void> {
  const deadlineMs = performance.now() + 15_000;
  for (;;) {
    try {
      await tab.goto(`${origin}${path}`);
      return;
    } catch (error) {
      if (!/interrupted|ERR_ABORTED/.test(String(error)) || performance.now() > deadlineMs) throw error;
      await pause(100);
    }
  }
}

/** What a thief with a copied cookie and user agent gets: status line, headers and body. */
async function curl(path: string, cookie: string, agent: string): Promise<string> {
  const { hostname } = new URL(origin);
  const ca = join(temporaryDirectory(), 'ca.crt');
  writeFileSync(ca, demo.ca);
  const options = [
    '--silent',
    '--show-error',
    '--include',
    '--cacert',
    ca,
    '--user-agent',
    agent,
    '--cookie',
    cookie,
  ];
  const resolve = ['--resolve', `${hostname}:${demo.port}:127.0.0.1`];
  const { stdout } = await promisify(execFile)('curl', [...options, ...resolve, `${origin}${path}`]);
  return stdout;
}

async function isSignedIn(page: Page): Promise<boolean> {
  return (await page.locator('header.top .who').count()) === 1;
}

await test('a person signs in and the browser holds opaque identifiers of the gateway and nothing else', async (t) => {
  const page = await context.newPage();
  tabs.push(page);
  await page.goto(`${origin}/`);
  t.match(page.url(), /\/login/);
  await takePicture(page, 'demo-1-login');
  const before = await sessionCookie();
  await signIn(page, 'boris-demo-1');
  t.match(await page.textContent('header.top .who'), 'Boris Levin');
  t.not(await sessionCookie(), before, 'the identifier changed at login');
  await takePicture(page, 'demo-2-signed-in');
  const cookies = await context.cookies();
  const own = new Set([SESSION_COOKIE, KNOWN_COOKIE, WROTE_COOKIE]);
  t.ok(cookies.some(({ name }) => name === SESSION_COOKIE));
  for (const cookie of cookies) {
    t.ok(own.has(cookie.name), cookie.name);
    t.match(cookie, {
      httpOnly: true,
      secure: true,
      sameSite: 'Lax',
      path: '/',
      domain: 'acme.crm.localhost',
    });
  }
});

await test('ten tabs open at once', async (t) => {
  while (tabs.length < TABS) tabs.push(await context.newPage());
  await Promise.all(tabs.map((tab, index) => tab.goto(`${origin}${PATHS[index % PATHS.length]}`)));
  for (const tab of tabs) t.ok(await isSignedIn(tab), tab.url());
});

await test(`ten tabs work through ${ROTATIONS} rotations and nobody is logged out`, async (t) => {
  const endMs = performance.now() + ROTATIONS * (ROTATE_MS + 500);
  let loads = 0;
  const work = async (tab: Page, index: number): Promise<void> => {
    for (let step = index; performance.now() < endMs; step += 1) {
      const path = PATHS[step % PATHS.length] ?? '/';
      // Now and then a person clicks again before the page is there: the answer to the first click is lost.
      const isHasty = step % 4 === 0;
      if (isHasty) await tab.evaluate(`location.href = '/contacts?page=3'`);
      await open(tab, path);
      loads += 1;
      if (!(await isSignedIn(tab))) t.fail(`tab ${index} was logged out at ${tab.url()}`);
      await sessionCookie();
      await pause(100 + ((index * 37 + step * 53) % 400));
    }
  };
  const ended = await Promise.allSettled(tabs.map(work));
  t.strictSame(
    ended.flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : [])),
    [],
  );
  t.comment(`${loads} page loads, ${identifiers.size} distinct identifiers`);
  t.ok(loads > 3 * TABS);
  t.ok(identifiers.size >= ROTATIONS, `${identifiers.size} distinct identifiers`);
  for (const tab of tabs) t.ok(await isSignedIn(tab));
});

await test('a lead made in one tab is seen live in another, through the WebSocket', async (t) => {
  const [first, second] = tabs as [Page, Page];
  await second.goto(`${origin}/`);
  await second.waitForSelector('#live-dot.on, #live-dot[data-state=on], #live-dot.live', {
    state: 'attached',
  });
  await first.goto(`${origin}/leads/new`);
  await first.fill('input[name=title]', 'Two wagons of crushed stone');
  await first.fill('input[name=amount]', '120000');
  await first.click('form.fields button.primary');
  await first.waitForURL(/\/leads\/[\w.-]+$/);
  t.match(await first.textContent('h1'), 'Two wagons of crushed stone');
  await second.waitForSelector('#toasts >> text=Two wagons of crushed stone');
  await takePicture(second, 'demo-3-live');
  t.pass('the toast came');
});

await test('a file goes up and comes down byte for byte', async (t) => {
  const [page] = tabs as [Page];
  const file = join(temporaryDirectory(), 'offer.bin');
  writeFileSync(file, randomBytes(2_000_000));
  await page.setInputFiles('form.upload input[type=file]', file);
  await page.click('form.upload button');
  const link = page.locator('ul.files a', { hasText: 'offer.bin' });
  await link.waitFor();
  await takePicture(page, 'demo-4-card');
  const download = page.waitForEvent('download');
  await link.click();
  t.ok(readFileSync(await (await download).path()).equals(readFileSync(file)));
});

await test('the cookie copied to curl: once its owner moved on it gets nothing and ends the session', async (t) => {
  const [page] = tabs as [Page];
  const agent = await page.evaluate<string>('navigator.userAgent');
  const stolen = await sessionCookie();
  const changes = new Set([stolen]);
  while (changes.size < 3) {
    await page.goto(`${origin}/leads`);
    changes.add(await sessionCookie());
    await pause(300);
  }
  await pause(ROTATE_MS / 2);
  t.ok(await isSignedIn(page));

  const answer = await curl('/leads', `${SESSION_COOKIE}=${stolen}`, agent);
  t.match(answer, /^HTTP\/2 (?:302|401)/);
  t.notMatch(answer, 'Boris Levin');
  await page.goto(`${origin}/leads`);
  t.match(page.url(), /\/login/, 'the owner is asked to sign in again');
  t.notMatch(await curl('/leads', `${SESSION_COOKIE}=${[...changes].at(-1)}`, agent), 'Boris Levin');
  await takePicture(page, 'demo-5-session-ended');
  await signIn(page, 'boris-demo-1');
});

await test('signing out in one tab signs out all of them', async (t) => {
  const [first, second] = tabs as [Page, Page];
  await first.click('a[href="/logout"]');
  await first.waitForSelector('input[name=username]');
  for (const tab of tabs.slice(1)) {
    await tab.goto(`${origin}/leads`);
    t.match(tab.url(), /\/login/);
  }
  await takePicture(second, 'demo-6-signed-out');
});
