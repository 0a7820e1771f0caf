/** DokuWiki behind the gateway in a real Chromium that checks certificates: what a person does, and what the jar holds. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { launchBrowser, takePicture } from '../support/browser.ts';
import { startDokuwiki } from '../support/dokuwiki.ts';
import { startGateway, temporaryDirectory } from '../support/start-gateway.ts';

const OLD_PASSWORD = 'wiki-password-1';
const NEW_PASSWORD = 'wiki-password-2';

const wiki = await startDokuwiki({ olga: OLD_PASSWORD });
const policy = readFileSync('test/application/dokuwiki.yaml', 'utf8');
const gateway = await startGateway(policy.replace('http://127.0.0.1:9555', wiki.origin));
const origin = `https://localhost:${gateway.port}`;
const browser = await launchBrowser(gateway.ca);
const context = await browser.newContext({ acceptDownloads: true });
const page = await context.newPage();
page.setDefaultTimeout(15_000);
tap.teardown(async () => {
  await browser.close();
  await gateway.program.stop();
  await wiki.stop();
});

/** Names of all cookies that the browser holds, but for those that the wiki's own scripts made in the page. */
async function heldCookies(from: BrowserContext): Promise<string[]> {
  const cookies = await from.cookies();
  return cookies.map((cookie) => cookie.name).filter((name) => name !== 'DOKU_PREFS');
}

async function signIn(on: Page, password: string): Promise<void> {
  await on.goto(`${origin}/doku.php?id=start&do=login`);
  await on.fill('#dw__login input[name=u]', 'olga');
  await on.fill('#dw__login input[name=p]', password);
  await on.click('#dw__login button[type=submit]');
  await on.waitForLoadState('load');
}

await test('a person who opens a page is led to the login form and signs in', async (t) => {
  await page.goto(`${origin}/`);
  t.match(page.url(), /do=login/);
  await takePicture(page, 'dokuwiki-1-login');
  await signIn(page, OLD_PASSWORD);
  t.match(await page.textContent('#dokuwiki__usertools'), /Logged in as/);
  await takePicture(page, 'dokuwiki-2-signed-in');
  t.strictSame(await heldCookies(context), [SESSION_COOKIE]);
});

await test('the one cookie is out of reach for scripts and bound to this host', async (t) => {
  const cookie = (await context.cookies()).find(({ name }) => name === SESSION_COOKIE);
  t.match(cookie, { httpOnly: true, secure: true, sameSite: 'Lax', path: '/', domain: 'localhost' });
  t.ok((cookie?.value.length ?? 999) <= 128, 'a short one');
  t.equal(await page.evaluate('document.cookie.includes("zasov") || document.cookie.includes("DW")'), false);
});

await test('a page is written in the editor', async (t) => {
  await page.goto(`${origin}/doku.php?id=test:deal&do=edit`);
  await page.fill('#wiki__text', '====== Сделка ======\n\nДва вагона //щебня//.\n');
  await page.click('#edbtn__save');
  await page.waitForSelector('em:has-text("щебня")');
  t.equal(await page.textContent('h1.sectionedit1, .page h1'), 'Сделка');
  await takePicture(page, 'dokuwiki-3-edited');
  t.strictSame(await heldCookies(context), [SESSION_COOKIE]);
});

await test('a file goes up through the media manager and comes down again', async (t) => {
  const file = join(temporaryDirectory(), 'price list.zip');
  writeFileSync(file, randomBytes(300_000));
  await page.goto(`${origin}/doku.php?id=start&do=media&ns=&tab_files=upload`);
  await page.setInputFiles('input[type=file]', file);
  await page.click('#mediamanager__upload_button');
  await page.waitForSelector('.qq-upload-success');
  await takePicture(page, 'dokuwiki-4-uploaded');
  const downloaded = await page.evaluate(`(async () => {
    const answer = await fetch('/lib/exe/fetch.php?media=price_list.zip');
    const digest = await crypto.subtle.digest('SHA-256', await answer.arrayBuffer());
    return new Uint8Array(digest).toHex();
  })()`);
  t.equal(downloaded, createHash('sha256').update(readFileSync(file)).digest('hex'));
});

await test('a change of password signs out this browser and the other one', async (t) => {
  const other = await browser.newContext();
  const otherPage = await other.newPage();
  await signIn(otherPage, OLD_PASSWORD);
  t.match(await otherPage.textContent('#dokuwiki__usertools'), /Logged in as/);

  await page.goto(`${origin}/doku.php?id=start&do=profile`);
  await page.fill('#dw__register input[name=newpass]', NEW_PASSWORD);
  await page.fill('#dw__register input[name=passchk]', NEW_PASSWORD);
  await page.fill('#dw__register input[name=oldpass]', OLD_PASSWORD);
  await page.click('#dw__register button[type=submit]');
  await page.waitForLoadState('load');
  await takePicture(page, 'dokuwiki-5-password-changed');

  for (const each of [page, otherPage]) {
    await each.goto(`${origin}/doku.php?id=test:deal`);
    t.match(each.url(), /do=login/);
    t.notMatch(await each.textContent('body'), 'щебня');
  }
  await otherPage.close();
  await signIn(page, NEW_PASSWORD);
  t.match(await page.textContent('#dokuwiki__usertools'), /Logged in as/);
});

await test('signing out leaves nothing that opens a page', async (t) => {
  await page.click('#dokuwiki__usertools a[href*="do=logout"]');
  await page.waitForLoadState('load');
  await page.goto(`${origin}/doku.php?id=test:deal`);
  t.match(page.url(), /do=login/);
  await page.goBack();
  t.notMatch(await page.textContent('body'), 'щебня', 'not by the back button either');
  await takePicture(page, 'dokuwiki-6-signed-out');
  t.strictSame(
    (await heldCookies(context)).filter((name) => name !== SESSION_COOKIE),
    [],
  );
});
