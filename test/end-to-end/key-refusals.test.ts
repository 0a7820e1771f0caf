/** What the command line says of keys that it may not make. */
import { join } from 'node:path';
import { test } from 'tap';
import { startGateway } from '../support/start-gateway.ts';

const POLICY = `
tls: { certificates: [{ hosts: [localhost], self_signed: true }] }
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
