/** The one-liners of docs/facility.md as they stand there: a UPS monitor of Debian and an alarm panel's shell. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';

import { type ChildProgram, startProgram } from '../support/child-program.ts';
import { fenceUnder } from '../support/documents.ts';
import { openPolicy } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway, temporaryDirectory } from '../support/start-gateway.ts';

const document = readFileSync('docs/facility.md', 'utf8');
const folder = temporaryDirectory();
const keyFile = join(folder, 'msk.facility');
execFileSync('sh', ['-c', `(printf whsec_; openssl rand -base64 32) > ${keyFile} && chmod 0600 ${keyFile}`]);

tap.setTimeout(120_000);

const upstream = await startRecordingUpstream((_request, response) => void response.end('ok'));
const region = `  - { id: msk, nodes: ["${upstream.origin}"], facility: { secret: "file:${keyFile}" } }
`;
const gateway = await startGateway(openPolicy(region));
const programs: ChildProgram[] = [];
tap.teardown(async () => {
  for (const program of programs.toReversed()) await program.stop(5000);
  await gateway.program.stop();
  await upstream.close();
});

/** Writes a script of the document, with what it says to put in. */
function install(mark: string, name: string): string {
  const text = fenceUnder(document, mark)
    .replace("urls='http://127.0.0.1:9464'", `urls='${gateway.listeners.ops}'`)
    .replace('key=/etc/zasov/msk.facility', `key=${keyFile}`);
  const file = join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}

const signalScript = install('signal', 'facility-signal');
const notifyScript = install('notify', 'facility-notify');

function state(): string {
  const [row] = JSON.parse(gateway.command('regions', 'list', '--json').stdout) as { state: string }[];
  return row?.state ?? 'gone';
}

async function becomes(wanted: string): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (state() !== wanted) {
    if (performance.now() > endMs) {
      const said = programs.map(({ output }) => output.stderr + output.stdout).join('\n');
      throw new Error(`msk is ${state()} and not ${wanted}\n${said}`);
    }
    await pause(200);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts the UPS monitor of Debian on a UPS that is a file. @returns sets what the UPS says of itself. */
async function startUps(): Promise<(status: string) => void> {
  const [configuration, run] = [join(folder, 'nut'), join(folder, 'nut-run')];
  for (const directory of [configuration, run]) mkdirSync(directory, { mode: 0o700 });
  const port = await freePort();
  const write = (name: string, ...lines: string[]) =>
    writeFileSync(join(configuration, name), `${lines.join('\n')}\n`, { mode: 0o600 });
  write('ups.dev', 'ups.status: OL', 'battery.charge: 100');
  write('ups.conf', '[rack]', '  driver = dummy-ups', '  port = ups.dev', '  mode = dummy-once');
  write('upsd.conf', `LISTEN 127.0.0.1 ${port}`);
  write(
    'upsd.users',
    '[monitor]',
    '  password = watch',
    '  upsmon primary',
    '[tester]',
    '  password = change',
    '  actions = SET',
    '  instcmds = ALL',
  );
  write(
    'upsmon.conf',
    `MONITOR rack@127.0.0.1:${port} 1 monitor watch primary`,
    'MINSUPPLIES 1',
    'POLLFREQ 1',
    'POLLFREQALERT 1',
    'SHUTDOWNCMD "/bin/true"',
    `POWERDOWNFLAG ${join(run, 'killpower')}`,
    ...fenceUnder(document, 'upsmon').trim().replace('/etc/zasov/facility-notify', notifyScript).split('\n'),
  );
  const env = {
    ...process.env,
    NUT_CONFPATH: configuration,
    NUT_STATEPATH: run,
    NUT_ALTPIDPATH: run,
    NUT_QUIET_INIT_SSL: 'true',
  };
  const user = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
  const start = (command: string, ...parameters: string[]) =>
    programs.push(startProgram(command, [...parameters, '-D', '-u', user], { env }));
  start('/lib/nut/dummy-ups', '-a', 'rack');
  await pause(500);
  start('/lib/nut/upsd');
  await answers(port);
  start('/lib/nut/upsmon');
  return (status) => {
    const parameters = [
      '-s',
      `ups.status=${status}`,
      '-u',
      'tester',
      '-p',
      'change',
      `rack@127.0.0.1:${port}`,
    ];
    const { status: code, stderr } = spawnSync('upsrw', parameters, { env, encoding: 'utf8' });
    if (code !== 0) throw new Error(`upsrw: ${stderr}`);
  };
}

/** Waits until upsd tells of the UPS. */
async function answers(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { stdout } = spawnSync('upsc', [`rack@127.0.0.1:${port}`, 'ups.status'], { encoding: 'utf8' });
    if (stdout.trim() === 'OL') return;
    await pause(200);
  }
  throw new Error(`no UPS answers\n${programs.map(({ output }) => output.stderr).join('\n')}`);
}

await test('a UPS on battery has other regions preferred, one that runs empty drains its region, and mains clear it', async (t) => {
  const say = await startUps();
  await pause(2500);
  const times: number[] = [];
  for (const [status, wanted] of [
    ['OB', 'avoided'],
    ['OL', 'open'],
    ['OB', 'avoided'],
    ['OB LB', 'draining'],
  ] as const) {
    const startMs = performance.now();
    say(status);
    await becomes(wanted);
    times.push(Math.round(performance.now() - startMs));
  }
  t.equal(state(), 'draining');
  t.comment(`by way of upsmon, which asks once a second: ${times.join(', ')} ms`);
});

await test('the shell of an alarm panel seals the region, and says so', async (t) => {
  const sent = spawnSync(signalScript, ['intrusion'], { encoding: 'utf8' });
  t.equal(sent.status, 0, sent.stderr);
  t.match(JSON.parse(sent.stdout), { region: 'msk', state: 'sealed', recorded: true });
  t.equal(state(), 'sealed');
  t.equal(spawnSync(signalScript, ['clear'], { encoding: 'utf8' }).status, 0);
  t.equal(state(), 'sealed');
  t.not(spawnSync(signalScript, ['flood'], { encoding: 'utf8' }).status, 0, 'and fails where it is refused');
});
