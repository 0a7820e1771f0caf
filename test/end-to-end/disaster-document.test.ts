/** Every command of docs/disaster.md, in its order, against a real gateway that is lost twice on the way. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import tap, { test } from 'tap';

import { type ChildProgram, startProgram } from '../support/child-program.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

const home = temporaryDirectory();
const [data, target, identity, policies] = ['data', 'backup', 'identity.txt', 'policies'].map((name) =>
  join(home, name),
) as [string, string, string, string];
const secret = await generateX25519Identity();
writeFileSync(identity, `${secret}\n`);
for (const directory of [target, policies]) mkdirSync(directory);
writeFileSync(
  join(policies, 'policy.yaml'),
  `listen:
  public: { address: 127.0.0.1, port: 0 }
  admin: { address: 127.0.0.1, port: 0 }
  ops: { address: 127.0.0.1, port: 0 }
accounts: { single: main }
regions: [{ id: msk, nodes: ["http://127.0.0.1:9"] }]
routes: [{ name: app, match: { path: "/**" }, access: session_or_key }]
sessions: {}
backup: { recipients: [${await identityToRecipient(secret)}], to: { dir: ${target} } }
`,
);

let gateway: ChildProgram;
async function start(): Promise<void> {
  gateway = startProgram(process.execPath, [
    'gateway/zasov.mjs',
    'serve',
    '--policies',
    policies,
    '--data',
    data,
  ]);
  await gateway.line(/"event":\s*"ready"/, 20_000);
}
tap.teardown(() => gateway.kill());

function zasov(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['gateway/zasov.mjs', ...words], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { code: status, stdout, stderr };
}

async function lose(): Promise<void> {
  await gateway.kill();
  rmSync(data, { recursive: true });
}

const issue = (subject: string): string =>
  (
    JSON.parse(
      zasov('keys', 'issue', '--account', 'main', '--subject', subject, '--data', data, '--json').stdout,
    ) as { id: string }
  ).id;

const heldKey = (): string => {
  const { stdout } = zasov('keys', 'list', '--state', 'held', '--json', '--data', data);
  return (JSON.parse(stdout) as { id: string }[])[0]?.id ?? 'none';
};

const archive = (): string => {
  const last = readdirSync(target).findLast((name) => name.endsWith('.age'));
  return join(target, last ?? 'none');
};

/** The commands of the document, each a line of a block without a language. */
const commands = [...readFileSync('docs/disaster.md', 'utf8').matchAll(/^```\n([^]*?)\n```$/gm)]
  .flatMap(([, block = '']) => block.split('\n'))
  .map((line) => line.replace(/^npx zasov /, ''));

/** What has happened before a command is typed, by how it begins; each once. */
const before: [begins: string, happens: () => Promise<void> | void][] = [
  ['backup signer', start],
  [
    'backup now',
    () => {
      key = issue('vera');
    },
  ],
  ['restore', lose],
  ['status', start],
  [
    'keys list --state held',
    async () => {
      await lose();
      rmSync(join(target, 'journal'), { recursive: true });
      const restored = zasov(
        'restore',
        archive(),
        '--identity',
        identity,
        '--data',
        data,
        '--policies',
        policies,
      );
      tap.match(restored.stderr, /THE JOURNAL IS NOT WHOLE/);
      await start();
    },
  ],
  ['keys rotate', () => void (key = issue('rita'))],
  ['keys revoke', () => void (key = issue('oleg'))],
  ['keys list --account', () => void (key = issue('petr'))],
];

/** What has to be seen, by how the command begins. */
const seen: Record<string, RegExp> = {
  'backup signer': /^zsb1:[0-9a-f]{64}$/m,
  'backup list': /fleet .* yes /,
  restore: /the journal is whole[^]*administrators[^]*restored in/,
  'audit verify': /good/,
  'keys list --state held': /held/,
  'keys release KEY': /./,
  'regions list': /msk/,
  'audit tail': /key\.issue/,
};

let key = '';

await test('each command of the pages for three in the morning does what they say', async (t) => {
  t.ok(commands.length > 20, `${commands.length} commands`);
  const waiting = [...before];
  for (const line of commands) {
    const next = waiting.findIndex(([begins]) => line.startsWith(begins));
    if (next !== -1) await waiting.splice(next, 1)[0]?.[1]();
    const words = line
      .replace('/var/lib/zasov', data)
      .replace('/root/zasov-identity.txt', identity)
      .replace('/etc/zasov', policies)
      .replace('ARCHIVE', archive())
      .replace('REGION', 'msk')
      .replace('KEY', line.startsWith('keys release') ? heldKey() : key)
      .split(' ');
    const { code, stdout, stderr } = zasov(...words);
    t.equal(code, 0, `${line}\n${stderr}`);
    const wanted = Object.entries(seen).find(([begins]) => line.startsWith(begins))?.[1];
    if (wanted !== undefined) t.match(stdout + stderr, wanted, line);
  }
  t.same(waiting, [], 'everything happened');
  t.ok(readdirSync(join(target, 'drills')).length === 1 && existsSync(data));
});
