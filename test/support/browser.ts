import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
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
 */
export async function launchBrowser(ca: string): Promise<Browser> {
  const home = temporaryDirectory();
  const database = join(home, '.pki', 'nssdb');
  mkdirSync(database, { recursive: true });
  const file = join(home, 'ca.crt');
  writeFileSync(file, ca);
  certutil('-N', '-d', `sql:${database}`, '--empty-password');
  certutil('-A', '-d', `sql:${database}`, '-t', 'C,,', '-n', 'zasov-test', '-i', file);
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
  const { status, stderr } = spawnSync('certutil', parameters, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`certutil ${parameters.join(' ')}: ${stderr}`);
}
