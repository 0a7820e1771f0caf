/** What the command line says of keys that it may not make, and of keys on hold. */
import { join } from 'node:path';
import { test } from 'tap';
import { holdStoredKey } from '../../gateway/api-key/hold-stored-key.ts';
import { KeyVault } from '../../gateway/api-key/key-vault.ts';
import { readKeyring } from '../../gateway/server/read-keyring.ts';
import { openEmbeddedKeys } from '../../gateway/store/embedded-keys.ts';
import { HttpsClient } from '../support/https-client.ts';
import { startGateway } from '../support/start-gateway.ts';

const POLICY = `
accounts: { host: "{account}.crm.localhost" }
tls: { certificates: [{ hosts: ["*.crm.localhost", localhost], self_signed: true }] }
regions: [{ id: home, nodes: ["http://127.0.0.1:9"], role: primary }]
routes: [{ name: api, match: { path: "/**" }, access: api_key }]
sessions: {}
api_keys: {}
`;

await test('what cannot be issued or imported is refused with a reason, and nothing that was sent is repeated', async (t) => {
  const own = await startGateway(POLICY);
  t.teardown(() => own.program.stop());
  const issue = (...flags: string[]) =>
    own.command('keys', 'issue', '--account', 'acme', '--subject', 'olga', ...flags);
  const cases: [refused: { code: number | null; stderr: string }, reason: RegExp][] = [
    [issue('--requests', '0/1s'), /^zasov: scope\.requests: not a rate such as 20\/1s\n$/],
    [issue('--networks', '10.0.0.0/99'), /^zasov: scope\.networks\.0: not a network\n$/],
    [issue('--methods', 'GET,P O'), /^zasov: scope\.methods\.1: not a method such as GET\n$/],
    [issue('--label', 'x'.repeat(201)), /^zasov: label: longer than 200 characters\n$/],
    [issue('--subject', ''), /^zasov: subject: is empty\n$/],
    [issue('--subject', 'x'.repeat(257)), /^zasov: subject: longer than 256 characters\n$/],
  ];
  const file = join(t.testdir({ 'keys.csv': `acme,olga,${'k'.repeat(30)}\n` }), 'keys.csv');
  cases.push([
    own.command('keys', 'import', file),
    /take over no keys of other programs; see api_keys\.imported/,
  ]);
  for (const [{ code, stderr }, reason] of cases) {
    t.equal(code, 1);
    t.match(stderr, reason);
  }
  t.notMatch(cases.map(([{ stderr }]) => stderr).join(''), /kkk|xxx/);
});

/** Does to every key of a data directory what a restore without a journal does. */
async function holdAll(data: string): Promise<void> {
  const vault = new KeyVault(await readKeyring({ masterKey: undefined }, data, {}));
  const store = openEmbeddedKeys(join(data, 'keys.db'));
  for (const stored of await store.list()) await store.write(holdStoredKey(vault, stored, 0));
  store.close();
}

await test('keys on hold open nothing until zasov keys release, and every release is on record', async (t) => {
  const own = await startGateway(POLICY);
  const client = new HttpsClient({ host: 'acme.crm.localhost', port: own.port, ca: own.ca });
  t.teardown(async () => {
    client.close();
    await own.program.stop();
  });
  const keys = ['olga', 'boris', 'vera'].map((subject) => {
    const { stdout } = own.command('keys', 'issue', '--account', 'acme', '--subject', subject, '--json');
    return JSON.parse(stdout) as { id: string; key: string };
  });
  const codes = async (): Promise<unknown[]> => {
    const found: unknown[] = [];
    for (const { key } of keys) {
      const { text } = await client.send('GET', '/x', { headers: { authorization: `Bearer ${key}` } });
      found.push((JSON.parse(text) as { code: string }).code);
    }
    return found;
  };
  const id = (index: number): string => String(keys[index]?.id);
  // Nobody is behind the gateway, so a key that is let in finds nobody.
  const open = 'upstream_unreachable';
  t.same(await codes(), [open, open, open]);
  await holdAll(own.data);
  t.same(await codes(), ['key_held', 'key_held', 'key_held']);
  t.match(own.command('keys', 'list', '--state', 'held').stdout, /3 keys\n$/);
  const metrics = await (await fetch(`${own.listeners.ops}/metrics`)).text();
  t.match(metrics, /^zasov_api_keys\{state="held"\} 3$/m);
  t.match(own.command('keys', 'release', id(0)), { code: 0, stdout: '1 key released from hold\n' });
  t.same(await codes(), [open, 'key_held', 'key_held']);
  t.match(own.command('keys', 'release', id(0)), { code: 1, stderr: /^zasov: no key ".+" is on hold\n$/ });
  t.equal(own.command('keys', 'revoke', id(1)).code, 0);
  t.same(JSON.parse(own.command('keys', 'release', '--all', '--json').stdout), { released: 1 });
  t.same(await codes(), [open, 'key_revoked', open]);
  t.equal(own.command('keys', 'release').code, 2, 'neither one nor all');
  t.equal(own.command('keys', 'release', id(0), '--all').code, 2, 'both');
  const trail = own.command('audit', 'tail', '--data', own.data, '--json').stdout;
  t.match(trail, new RegExp(`"key\\.release".*"key":"${id(0)}"`));
  t.match(trail, /"key\.release\.done".*"keys":1/);
});
