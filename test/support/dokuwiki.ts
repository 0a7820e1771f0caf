import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { startProgram } from './child-program.ts';
import { temporaryDirectory } from './start-gateway.ts';

const PACKAGE = '/usr/share/dokuwiki';
const CONFIGURATION = '/etc/dokuwiki';
const DATA_FOLDERS = 'attic cache index locks log media media_attic media_meta meta pages tmp'.split(' ');

/** A DokuWiki that knows nothing of the gateway. */
export interface RunningDokuwiki {
  readonly origin: string;
  stop(): Promise<void>;
}

/**
 * Serves a copy of Debian's DokuWiki with PHP's own server: four workers, a closed wiki (nobody reads it without
 * signing in), the people given, of whom `boss` is the superuser. Not one file of the program is changed; Debian's
 * `preload.php`, which points at one shared configuration, is left out so that this copy has its own.
 *
 * @param passwords password by login name.
 * @param hasRemote whether the administrator has switched the XML-RPC API on, for whoever signs in.
 */
export async function startDokuwiki(
  passwords: Record<string, string>,
  hasRemote = false,
): Promise<RunningDokuwiki> {
  const root = temporaryDirectory();
  const wiki = join(root, 'wiki');
  cpSync(PACKAGE, wiki, { recursive: true, dereference: true });
  rmSync(join(wiki, 'inc', 'preload.php'), { force: true });
  rmSync(join(wiki, 'install.php'), { force: true });
  const conf = join(wiki, 'conf');
  cpSync(CONFIGURATION, conf, { recursive: true, dereference: true });
  for (const folder of DATA_FOLDERS) mkdirSync(join(root, 'data', folder), { recursive: true });
  writeFileSync(
    join(conf, 'local.php'),
    `<?php
$conf['title'] = 'Wiki';
$conf['lang'] = 'en';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['savedir'] = '${join(root, 'data')}';
$conf['disableactions'] = 'register,resendpwd';
$conf['remote'] = ${hasRemote ? 1 : 0};
$conf['remoteuser'] = '@user';
`,
  );
  writeFileSync(join(conf, 'acl.auth.php'), '*\t@ALL\t0\n*\t@user\t16\n');
  const users = Object.entries(passwords).map(
    ([name, password]) =>
      `${name}:${phpHash(password)}:${name}:${name}@example.test:${name === 'boss' ? 'admin,' : ''}user\n`,
  );
  writeFileSync(join(conf, 'users.auth.php'), users.join(''));
  const port = await freePort();
  const program = startProgram('php', ['-S', `127.0.0.1:${port}`, '-t', wiki], {
    cwd: wiki,
    env: { ...process.env, PHP_CLI_SERVER_WORKERS: '4' },
  });
  const origin = `http://127.0.0.1:${port}`;
  await answers(`${origin}/doku.php`);
  return { origin, stop: () => program.kill() };
}

function phpHash(password: string): string {
  const script = 'echo password_hash($argv[1], PASSWORD_BCRYPT);';
  const { stdout, stderr } = spawnSync('php', ['-r', script, '--', password], { encoding: 'utf8' });
  if (stdout === '') throw new Error(`php: ${stderr}`);
  return stdout;
}

/** PHP's server cannot choose a port itself. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(url: string): Promise<void> {
  const deadline = AbortSignal.timeout(15_000);
  while (!deadline.aborted) {
    try {
      const answer = await fetch(url, { signal: deadline });
      if (answer.ok) return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`${url} did not answer`);
}
