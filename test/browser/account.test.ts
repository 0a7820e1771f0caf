/**
 * The account page as people meet it in a real Chromium, against the demo: on a desk and on a phone, in both languages,
 * light and dark, without JavaScript and by keyboard. Pictures go to `ZASOV_SCREENSHOTS`.
 */
import type { BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { launchBrowser, takePicture } from '../support/browser.ts';
import { HttpsClient } from '../support/https-client.ts';
import { startDemo } from '../support/start-gateway.ts';

const PATH = '/.zasov/account';
const PHONE_AGENT =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1';
const DESK: BrowserContextOptions = { locale: 'en-GB', viewport: { width: 1280, height: 900 } };
const PHONE: BrowserContextOptions = {
  locale: 'ru-RU',
  colorScheme: 'dark',
  javaScriptEnabled: false,
  userAgent: PHONE_AGENT,
  viewport: { width: 360, height: 740 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

tap.setTimeout(180_000);
const demo = await startDemo();
const origin = `https://acme.crm.localhost:${demo.port}`;
const browser = await launchBrowser(demo.ca);
tap.teardown(async () => {
  await browser.close();
  await demo.program.stop();
});

async function begin(
  options: BrowserContextOptions,
  login = 'boris',
  password = 'boris-demo-1',
): Promise<{ context: BrowserContext; page: Page }> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  await page.goto(`${origin}${PATH}`);
  await page.fill('input[name=username]', login);
  await page.fill('input[name=password]', password);
  await page.click('button.primary');
  await page.waitForSelector('header.top .who');
  await page.goto(`${origin}${PATH}`);
  return { context, page };
}

async function shownKey(page: Page): Promise<string | undefined> {
  const shown = page.locator('.fresh code');
  return (await shown.count()) === 0 ? undefined : ((await shown.textContent()) ?? undefined);
}

/** What reaches beyond the right edge; heads of tables are for readers of screens only there. */
const OVERFLOW = `[...document.querySelectorAll('body :not(thead, thead *)')].filter((element) =>
  element.getBoundingClientRect().right > innerWidth + 1).length`;

await test('on a desk a person replaces the own key, sees it once, and copies it with one click', async (t) => {
  const { context, page } = await begin(DESK);
  const problems: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  await takePicture(page, 'account-1-desk');
  t.match(await page.textContent('h1'), 'Your account');
  t.match(await page.textContent('.who'), 'boris');
  await page.click('summary:has-text("Replace")');
  await takePicture(page, 'account-2-desk-question');
  await page.click('button:has-text("Replace the key")');
  await page.waitForSelector('.fresh');
  const key = await shownKey(page);
  t.match(key, /^zsv_/);
  await page.click('.fresh code');
  t.equal(await page.evaluate('getSelection().toString()'), key, 'one click takes all of it');
  await takePicture(page, 'account-3-desk-key');
  await page.reload();
  t.equal(await shownKey(page), undefined, 'a reload shows it no more');
  await page.goto(`${origin}/`);
  await page.goBack();
  t.equal(await shownKey(page), undefined, 'nor does the way back');
  t.strictSame(problems, [], 'nothing breaks the security policy of the page');
  await context.close();
});

await test('the page works by keyboard, and what has the focus is seen', async (t) => {
  const { context, page } = await begin(DESK);
  for (let steps = 0; steps < 20; steps += 1) {
    await page.keyboard.press('Tab');
    if ((await page.evaluate('document.activeElement.textContent')) === 'Revoke') break;
  }
  t.equal(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'solid');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.ask[open] button');
  await takePicture(page, 'account-4-focus');
  await page.keyboard.press('Tab');
  t.match(await page.evaluate('document.activeElement.textContent'), 'Revoke the key');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.empty');
  t.match(await page.textContent('.note'), 'The key was revoked');
  await takePicture(page, 'account-5-empty');
  await context.close();
});

await test('on a phone without JavaScript a person makes a key and ends the other devices, in Russian', async (t) => {
  const { context: desk, page: deskPage } = await begin(DESK);
  const { context, page } = await begin(PHONE);
  t.match(await page.textContent('h1'), 'Ваш аккаунт');
  t.match(await page.textContent('main'), 'Safari на iPhone');
  await page.fill('input[name=label]', 'Выгрузка в 1С');
  await page.click('button:has-text("Создать ключ")');
  await page.waitForSelector('.fresh');
  t.match(await shownKey(page), /^zsv_/);
  await takePicture(page, 'account-6-phone-key');
  await page.reload();
  t.equal(await shownKey(page), undefined);
  await page.click('summary:has-text("Завершить остальные")');
  await takePicture(page, 'account-7-phone-question');
  await page.click('button:has-text("Завершить все остальные")');
  await page.waitForSelector('.note');
  t.match(await page.textContent('.note'), 'Все остальные сеансы завершены');
  await takePicture(page, 'account-8-phone');
  await deskPage.goto(`${origin}${PATH}`);
  t.match(deskPage.url(), /\/login/, 'the desk is signed out');
  await page.click('a[hreflang=en]');
  t.match(await page.textContent('h1'), 'Your account');
  await page.reload();
  t.match(await page.textContent('h1'), 'Your account', 'the choice of language is remembered');
  await Promise.all([context.close(), desk.close()]);
});

await test('after a change of password and a theft, the new key waits and the alarm is seen', async (t) => {
  const { context, page } = await begin(DESK, 'clara', 'clara-demo-1');
  const [cookie] = await context.cookies(origin);
  const thief = new HttpsClient({ host: 'acme.crm.localhost', port: demo.port, ca: demo.ca });
  thief.jar.set(SESSION_COOKIE, cookie?.value ?? '');
  t.equal((await thief.get('/leads')).status, 401, 'another browser');
  thief.close();
  await page.reload();
  t.match(page.url(), /\/login/);
  await context.close();
  const { context: again, page: profile } = await begin(DESK, 'clara', 'clara-demo-1');
  await profile.goto(`${origin}/profile`);
  await profile.fill('input[name=old_password]', 'clara-demo-1');
  await profile.fill('input[name=new_password]', 'clara-demo-2');
  await profile.fill('input[name=repeat_password]', 'clara-demo-2');
  await profile.click('form[action="/profile/password"] button');
  await profile.waitForSelector('input[name=username]');
  await again.close();
  const { context: desk, page: account } = await begin(DESK, 'clara', 'clara-demo-2');
  t.match(await account.textContent('.alarms'), 'another device or network');
  t.match(await account.textContent('.banner'), 'A new key waits for you');
  await takePicture(account, 'account-9-desk-waiting');
  const { context: phone, page: small } = await begin(PHONE, 'clara', 'clara-demo-2');
  await takePicture(small, 'account-10-phone-waiting');
  await small.click('button:has-text("Показать новый ключ")');
  await small.waitForSelector('.fresh');
  t.match(await shownKey(small), /^zsv_/);
  await account.click('button:has-text("Show the new key")');
  await account.waitForSelector('.note.bad');
  t.equal(await shownKey(account), undefined, 'whoever comes second is told so');
  await Promise.all([desk.close(), phone.close()]);
});

await test('nothing reaches beyond the edge of a narrow phone, and every button is large enough for a thumb', async (t) => {
  for (const width of [320, 360, 430, 700]) {
    const { context, page } = await begin({
      ...PHONE,
      javaScriptEnabled: true,
      viewport: { width, height: 740 },
    });
    t.equal(await page.evaluate(OVERFLOW), 0, `${width} px`);
    const heights = await page.evaluate<number[]>(
      `[...document.querySelectorAll('button, summary.button')].map((each) => each.offsetHeight).filter((height) => height > 0)`,
    );
    t.ok(Math.min(...heights) >= 40, `${width} px: ${Math.min(...heights)}`);
    await context.close();
  }
});
