/**
 * The admin listener as the two administrators meet it in a real Chromium: the file that the demo names is imported into
 * the browser's own certificate store, and the browser itself shows the certificate. Pictures go to `ZASOV_SCREENSHOTS`.
 */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import tap, { test } from 'tap';
import { launchBrowser, showCertificateTo, takePicture } from '../support/browser.ts';
import { startDemo } from '../support/start-gateway.ts';

interface Enrolment {
  readonly cert_file: string;
  readonly key_file: string;
  readonly pkcs12_file: string;
  readonly pkcs12_password: string;
}

tap.setTimeout(180_000);
const demo = await startDemo();
const [anna, boris] = demo.ready.administrators as [Enrolment, Enrolment];
const port = Number(new URL(demo.listeners.admin).port);
const origin = `https://acme.crm.localhost:${port}`;
const forget = showCertificateTo(`https://[*.]crm.localhost:${port}`);
const browser = await launchBrowser(demo.ca, { file: anna.pkcs12_file, password: anna.pkcs12_password });
tap.teardown(async () => {
  forget();
  await browser.close();
  await demo.program.stop();
});

async function open(options: Parameters<typeof browser.newContext>[0] = {}): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  context.setDefaultTimeout(15_000);
  return await context.newPage();
}

await test('Anna’s browser opens the console and the administration of the CRM with her imported certificate', async (t) => {
  const page = await open();
  await page.goto(`${origin}/`);
  t.equal(new URL(page.url()).pathname, '/.zasov/console');
  t.match(await page.textContent('main'), /You came in as Anna/);
  await takePicture(page, 'admin-console');
  await page.click('a[href="/admin"]');
  await page.fill('input[name=username]', 'anna');
  await page.fill('input[name=password]', 'anna-demo-1');
  await takePicture(page, 'admin-sign-in');
  await page.click('button.primary');
  await page.waitForURL('**/.zasov/console');
  await page.click('a[href="/admin"]');
  await page.waitForSelector('ul.people');
  await takePicture(page, 'admin-panel');
  const names = (await page.context().cookies(origin)).map(({ name }) => name);
  t.ok(
    names.every((name) => name.startsWith('__Host-Http-zasov')),
    'the CRM’s cookie stays on the server',
  );
  t.ok(names.includes('__Host-Http-zasov-admin'));
  const create = page.locator('form[action="/admin/users"]');
  await create.locator('input[name=name]').fill('Dora');
  await create.locator('input[name=login]').fill('dora');
  await create.locator('input[name=new_password]').fill('dora-demo-1');
  await create.locator('button').click();
  await page.waitForSelector('.notice');
  t.match(await page.textContent('ul.people'), /Dora/);
  await page.context().close();
});

await test('the console is readable on a phone, in the dark and in Russian', async (t) => {
  const page = await open({
    locale: 'ru-RU',
    colorScheme: 'dark',
    viewport: { width: 360, height: 740 },
    javaScriptEnabled: false,
  });
  await page.goto(`${origin}/.zasov/console`);
  t.match(await page.textContent('h1'), 'Консоль');
  const width = await page.evaluate('document.documentElement.scrollWidth');
  t.ok(Number(width) <= 360, `${String(width)} px`);
  await takePicture(page, 'admin-console-phone');
  await page.context().close();
});

await test('on the public listener the same browser finds no such page', async (t) => {
  const page = await open();
  const answer = await page.goto(`https://acme.crm.localhost:${demo.port}/admin`);
  t.equal(answer?.status(), 404);
  await takePicture(page, 'admin-elsewhere');
  await page.context().close();
});

await test('a browser that shows none is told what is missing', async (t) => {
  const stranger = await launchBrowser(demo.ca);
  const page = await (await stranger.newContext({ locale: 'ru-RU' })).newPage();
  const answer = await page.goto(`${origin}/admin`);
  t.equal(answer?.status(), 403);
  t.match(await page.textContent('h1'), 'Нужен ваш сертификат');
  await takePicture(page, 'admin-stranger');
  await stranger.close();
});

await test('Boris comes in as Boris, with his certificate in the hands of Playwright', async (t) => {
  const plain = await launchBrowser(demo.ca);
  // Playwright speaks TLS in the browser's place, and finds only names that the system knows.
  const local = `https://localhost:${port}`;
  const context = await plain.newContext({
    locale: 'en-GB',
    clientCertificates: [
      { origin: local, cert: readFileSync(boris.cert_file), key: readFileSync(boris.key_file) },
    ],
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  await page.goto(`${local}/.zasov/console`);
  t.match(await page.textContent('main'), /You came in as Boris/);
  await plain.close();
});
