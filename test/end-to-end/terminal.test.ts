/** What somebody at a real terminal sees of a backup, a restore and a drill, and what Ctrl-C leaves. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { armor, Encrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import tap, { type Test, test } from 'tap';

import { onTerminal, type TerminalProgram } from '../support/pseudo-terminal.ts';
import { startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
/** Takes the drawn line away; a carriage return before a line break is the terminal's own. */
const ERASED = '\r\u001B[K';
/** A screen with that written as text. */
const shown = (screen: string) => screen.replaceAll(ERASED, '<ERASED>');
const PASSPHRASE = 'horse battery staple';

const place = temporaryDirectory();
const target = temporaryDirectory();
const slow = join(place, 'slow');
const identity = await generateIdentity();
const encrypter = new Encrypter();
encrypter.setPassphrase(PASSPHRASE);
encrypter.setScryptWorkFactor(10);
const sealed = await encrypter.encrypt(`# in a safe\n${identity}\n`);
writeFileSync(join(place, 'identity.txt'), `# in a safe\n${identity}\n`);
writeFileSync(join(place, 'identity.age'), sealed);
writeFileSync(join(place, 'armored.age'), armor.encode(sealed));
writeFileSync(join(place, 'passphrase'), `${PASSPHRASE}\n`);

const wait = `while test -e ${slow}; do sleep 0.1; done`;
const gateway = await startGateway(`regions: [{ id: msk, nodes: ["http://127.0.0.1:9"] }]
routes: [{ name: app, match: { path: "/**" }, access: session }]
sessions: {}
backup:
  at: "03:00"
  recipients: [${await identityToRecipient(identity)}]
  to: { dir: ${target} }
  include:
    - { name: db, dump: [sh, -c, "head -c 8000000 /dev/urandom; ${wait}"], restore: [sh, -c, "cat >/dev/null; ${wait}"] }
`);
tap.teardown(async () => {
  rmSync(slow, { force: true });
  await gateway.program.stop();
});
const { data } = gateway;
const policies = join(data, 'test-policies.yaml');
const zasov = (...words: string[]) => [process.execPath, 'gateway/zasov.mjs', ...words].join(' ');
const archives = () => readdirSync(target).filter((name) => name.endsWith('.age'));

async function endsWith(t: Test, program: TerminalProgram, code: number): Promise<void> {
  const is = await program.ended();
  if (is !== code) t.comment(JSON.stringify(program.screen));
  t.equal(is, code);
}

/** What is left on a screen when every drawn line was taken away. */
function settled(screen: string): string {
  return screen
    .split('\r\n')
    .map((line) => line.split(ERASED).at(-1) ?? '')
    .join('\n');
}

await test('a backup draws its bar, takes it away and ends with what was made', async (t) => {
  const seen = onTerminal(zasov('backup', 'now', '--data', data));
  await endsWith(t, seen, 0);
  t.match(shown(seen.screen), /<ERASED>\[[#·]{24}\] .*B\/s/);
  const [name = ''] = archives();
  t.match(
    settled(seen.screen),
    new RegExp(`^${name}: 7\\.\\d MiB, sha256:[0-9a-f]{64}, read back and named\n$`),
  );
});

await test('where the output is no terminal there are events, and no control character', (t) => {
  const made = spawnSync('sh', ['-c', zasov('backup', 'now', '--data', data)], { encoding: 'utf8' });
  t.equal(made.status, 0, made.stderr);
  t.equal(made.stderr, '');
  const events = made.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string });
  t.match(events.at(-1), { event: 'done', archive: /^zasov-/ });
  t.ok(events.slice(0, -1).every(({ event }) => event === 'progress'));
  t.notMatch(made.stdout.replaceAll('\n', ''), /\p{Cc}/u);
  t.end();
});

await test('Ctrl-C ends the waiting for a backup with 130, and the gateway makes it all the same', async (t) => {
  const before = archives().length;
  writeFileSync(slow, '');
  const seen = onTerminal(zasov('backup', 'now', '--data', data));
  await seen.shows(/[KM]iB.*writing/);
  seen.type(CTRL_C);
  await endsWith(t, seen, 130);
  t.match(settled(seen.screen), /zasov: interrupted: the gateway goes on with it/);
  t.equal(archives().length, before);
  rmSync(slow);
  await eventually(() => Promise.resolve(archives().length === before + 1), 20_000);
});

await test('a restore asks for the passphrase without showing it, for consent, and shows how far it is', async (t) => {
  const [archive = ''] = archives().toReversed();
  await gateway.program.kill();
  const source = join(target, archive);
  const to = join(place, 'restored');
  const command = (file: string, ...more: string[]) =>
    zasov('restore', source, '--identity', join(place, file), '--data', to, '--policies', policies, ...more);
  const nothing = () => globSync(`${to}*`).length === 0;

  const wrong = onTerminal(command('identity.age'));
  await wrong.shows(/Passphrase of the identity: /);
  wrong.type('not this one\r');
  await endsWith(t, wrong, 1);
  t.match(wrong.screen, /zasov: the passphrase does not open the identity file/);
  t.notMatch(wrong.screen, /not this one/);

  for (const [key, code, says] of [
    [CTRL_C, 130, /interrupted: nothing was restored/],
    [CTRL_D, 2, /nothing was answered/],
  ] as const) {
    const given = onTerminal(command('armored.age'));
    await given.shows(/Passphrase of the identity: /);
    given.type(`half of${key === CTRL_C ? '' : '\u0015'}${key}`);
    await endsWith(t, given, code);
    t.match(given.screen, says);
    t.notMatch(given.screen, /half of/);
    t.ok(nothing());
  }

  const undecided = onTerminal(command('identity.txt'));
  await undecided.shows(/Type yes: /);
  undecided.type(CTRL_C);
  await endsWith(t, undecided, 130);
  t.ok(nothing());

  writeFileSync(slow, '');
  const midway = onTerminal(command('identity.txt', '--yes'));
  await midway.shows(/include {2}db: sh -c/);
  t.notOk(nothing(), 'it is in the middle');
  midway.type(CTRL_C);
  await endsWith(t, midway, 130);
  t.match(settled(midway.screen), /zasov: interrupted: nothing was restored; the same command begins anew/);
  t.ok(nothing(), 'nothing is half applied');
  const running = globSync('/proc/[0-9]*/cmdline').filter((file) => {
    try {
      return readFileSync(file, 'utf8').includes(`cat >/dev/null; ${wait}`);
    } catch {
      return false;
    }
  });
  t.same(running, [], 'and its command has ended');
  rmSync(slow);

  const restored = onTerminal(command('identity.age'));
  await restored.shows(/Passphrase of the identity: /);
  restored.type(`${PASSPHRASE}\r`);
  await restored.shows(/Is that what zasov backup signer printed for your gateway\? Type yes: /);
  restored.type('yes\r');
  await endsWith(t, restored, 0);
  t.notMatch(restored.screen, new RegExp(PASSPHRASE));
  t.match(shown(restored.screen), /<ERASED>archive {2}\[={30}\] 100% 7\.\d MiB/);
  t.match(settled(restored.screen), /^done {5}restored in \d+\.\d s; start the gateway: zasov serve$/m);
  t.notMatch(shown(settled(restored.screen)), /<ERASED>|%/, 'no bar stays');
  t.ok(existsSync(join(to, 'keys.db')));
});

await test('without a terminal the passphrase comes from where it is said to be, and nothing is drawn', (t) => {
  const file = join(place, 'identity.age');
  const secret = join(place, 'passphrase');
  const drill = (archive: string, how: string) =>
    spawnSync('setsid', ['-w', 'bash', '-c', `${zasov('backup', 'drill', archive)} ${how}`], {
      encoding: 'utf8',
      env: { ...process.env, IDENTITY_PASSPHRASE: PASSPHRASE },
      input: '',
    });
  const [archive = ''] = archives();
  const { status, stdout, stderr } = drill(
    join(target, archive),
    `--identity - --passphrase file:<(cat ${secret}) <${file}`,
  );
  t.equal(status, 0, 'from a pipe');
  t.notMatch(`${stdout}${stderr}`.replaceAll('\n', ''), /\p{Cc}/u);
  t.notMatch(stdout + stderr, new RegExp(PASSPHRASE));
  t.equal(
    stderr.split('the source db is not restored').length,
    2,
    'said once, and not for each of its parts',
  );

  const refused: Record<string, [how: string, status: number, says: RegExp]> = {
    'a file': [`--passphrase file:${secret}`, 2, /there is no archive/],
    'a variable': ['--passphrase env:IDENTITY_PASSPHRASE', 2, /there is no archive/],
    'a descriptor': [`--passphrase file:/dev/fd/3 3<${secret}`, 2, /there is no archive/],
    nowhere: ['', 2, /has a passphrase, and there is no terminal to ask at: --passphrase names it/],
    itself: ['--passphrase horse', 2, /--passphrase is "file:PATH"/],
    'the wrong file': [`--passphrase file:${policies}`, 1, /the passphrase does not open the identity file/],
  };
  for (const [what, [how, code, says]] of Object.entries(refused))
    t.match(drill('/no/archive.age', `--identity ${file} ${how}`), { status: code, stderr: says }, what);
  t.end();
});

await test('a drill asks at the terminal also when the identity comes from elsewhere, and Ctrl-C leaves nothing of it', async (t) => {
  const [archive = ''] = archives();
  const scratch = temporaryDirectory();
  const words = ['backup', 'drill', join(target, archive), '--scratch', scratch];
  const drilled = onTerminal(`${zasov(...words, '--identity', '-')} <${join(place, 'armored.age')}`);
  await drilled.shows(/Passphrase of the identity: /);
  drilled.type(`${PASSPHRASE}\r`);
  await endsWith(t, drilled, 0);
  t.notMatch(drilled.screen, new RegExp(PASSPHRASE));
  t.match(settled(drilled.screen), /^drill {4}done in \d+\.\d s; the report is at /m);

  writeFileSync(slow, '');
  const given = onTerminal(
    zasov(
      ...words,
      '--with-include',
      'db',
      '--signer',
      `zsb1:${'0'.repeat(64)}`,
      '--identity',
      join(place, 'identity.txt'),
    ),
  );
  await endsWith(t, given, 1);
  t.match(given.screen, /made by somebody else/);
  const midway = onTerminal(
    zasov(...words, '--with-include', 'db', '--identity', join(place, 'identity.txt')),
  );
  await midway.shows(/include {2}db: sh -c/);
  midway.type(CTRL_C);
  await endsWith(t, midway, 130);
  t.match(settled(midway.screen), /zasov: interrupted: nothing of the drill is left/);
  t.same(readdirSync(scratch), []);
  rmSync(slow);
});
