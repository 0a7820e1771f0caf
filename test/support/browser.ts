import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type Page, chromium } from 'playwright-core';
import { temporaryDirectory } from './start-gateway.ts';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

let pictures: string | undefined;

/**
 * Starts Debian's Chromium, headless, in a home of its own whose certificate database trusts the gateway's local
 * authority: certificates are checked for real, nothing is ignored. `*.localhost` is loopback to Chromium.
 *
 * @param ca PEM of the authority.
 * @param own somebody's own certificate, imported as a person would.
 */
export async function launchBrowser(
  ca: string,
  own?: { readonly file: string; readonly password: string },
): Promise<Browser> {
  const home = temporaryDirectory();
  const database = join(home, '.pki', 'nssdb');
  mkdirSync(database, { recursive: true });
  const file = join(home, 'ca.crt');
  writeFileSync(file, ca);
  certutil('-N', '-d', `sql:${database}`, '--empty-password');
  certutil('-A', '-d', `sql:${database}`, '-t', 'C,,', '-n', 'zasov-test', '-i', file);
  if (own !== undefined)
    run('pk12util', '-i', own.file, '-d', `sql:${database}`, '-W', own.password, '-K', '');
  return await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ARGUMENTS,
    env: {
      ...process.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      XDG_CACHE_HOME: join(home, '.cache'),
    },
  });
}

/**
 * Takes a picture of a page for people to look at: into the directory that `ZASOV_SCREENSHOTS` names, or into a
 * temporary one, so that taking it is always tried.
 */
export async function takePicture(page: Page, name: string): Promise<void> {
  pictures ??= process.env.ZASOV_SCREENSHOTS ?? temporaryDirectory();
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

function certutil(...parameters: string[]): void {
  run('certutil', ...parameters);
}

function run(program: string, ...parameters: string[]): void {
  const { status, stderr } = spawnSync(program, parameters, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${parameters.join(' ')}: ${stderr}`);
}

/**
 * Has Chromium show a certificate to an origin without asking, as an administrator of many machines would: a headless
 * browser has nobody to ask. Only root may say so.
 *
 * @returns a function that takes it back; it is taken back at the end in any case.
 */
export function showCertificateTo(origin: string): () => void {
  const directory = '/etc/chromium/policies/managed';
  const file = join(directory, `zasov-test-${process.pid}.json`);
  mkdirSync(directory, { recursive: true });
  const rule = JSON.stringify({ pattern: origin, filter: {} });
  writeFileSync(file, JSON.stringify({ AutoSelectCertificateForUrls: [rule] }));
  const remove = (): void => rmSync(file, { force: true });
  process.once('exit', remove);
  return remove;
}
