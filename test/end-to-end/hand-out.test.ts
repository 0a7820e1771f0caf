/** The CRM's own credential, seen in an answer: it is kept, and the client finds a key of the gateway's in its place. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import tap, { test } from 'tap';
import { type Answer, HttpsClient } from '../support/https-client.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startDemo, startGateway } from '../support/start-gateway.ts';

const SECRET = 'crm_own_secret_1';
const upstream = await startRecordingUpstream((asked, response) => {
  const [path = '', query = ''] = asked.url.split('?');
  response.setHeader('content-type', 'application/json');
  if (path === '/api/x')
    return void response.end(JSON.stringify({ got: asked.values('x-crm-key')[0] ?? null }));
  if (query === 'refused') return void response.writeHead(401).end('{"error":"no"}');
  if (query === 'empty') return void response.end('{"error":"no"}');
  const document = {
    user: { login: 'olga', key: SECRET },
    link: `https://crm/?key=${SECRET}`,
    count: 7,
    filler: query === 'long' ? 'x'.repeat(70_000) : '',
  };
  const text = query === 'page' ? `<b>${SECRET}</b>` : JSON.stringify(document);
  response.setHeader('etag', '"of-this-body"');
  if (path === '/token') return void response.setHeader('x-token', SECRET).end('{}');
  if (query === 'gzip') {
    response.setHeader('content-encoding', 'gzip');
    return void response.end(gzipSync(text));
  }
  response.end(text);
});
const gateway = await startGateway(`
regions: [{ id: a, nodes: ["${upstream.origin}"], health: { timeout: 30s } }]
routes:
  - { name: doors, match: { path: [/login, /quiet, /open, /token] }, access: public }
  - { name: api, match: { path: "/api/**" }, access: api_key, limit: plenty }
sessions: {}
limits: { plenty: { per: api_key, requests: 10000/1s } }
api_keys:
  in: ["header:X-Api-Key"]
  upstream:
    header: X-Crm-Key
    observe:
      - { match: { path: /login }, subject: json.login, credential: json.user.key, keys: 2 }
      - { match: { path: /quiet }, subject: json.login, credential: json.user.key, client_gets: nothing }
      - { match: { path: /open }, subject: json.login, credential: json.user.key, client_gets: credential }
      - { match: { path: /token }, subject: json.login, credential: header.X-Token }
`);
const client = new HttpsClient({ host: 'localhost', port: gateway.port, ca: gateway.ca });
tap.teardown(async () => {
  client.close();
  await gateway.program.stop();
  await upstream.close();
});

const post = (path: string, login = 'olga', headers: Record<string, string> = {}): Promise<Answer> =>
  client.send('POST', path, {
    body: JSON.stringify({ login, password: 'p' }),
    headers: { 'content-type': 'application/json', ...headers },
  });

interface Told {
  readonly user: { readonly login: string; readonly key: string };
  readonly link: string;
  readonly count: number;
}

/** Calls the API and says what the CRM got for the key. */
async function sentFor(key: string): Promise<unknown> {
  const answer = await client.get('/api/x', { headers: { 'x-api-key': key } });
  if (answer.status !== 200) return (JSON.parse(answer.text) as { code: string }).code;
  return (JSON.parse(answer.text) as { got: string | null }).got;
}

await test('the client gets a key of the gateway, the CRM gets its own, and the credential never leaves the house', async (t) => {
  for (const variant of ['/login', '/login?gzip']) {
    const answer = await post(variant, 'olga', { range: 'bytes=0-10', 'if-none-match': '*' });
    t.equal(answer.status, 200, variant);
    t.notMatch(answer.text, SECRET);
    const told = JSON.parse(answer.text) as Told;
    t.match(told, {
      user: { login: 'olga', key: /^zsv_/ },
      count: 7,
      link: `https://crm/?key=${told.user.key}`,
    });
    t.equal(answer.header('cache-control'), 'no-store');
    t.equal(answer.header('etag'), undefined);
    t.equal(answer.header('content-encoding'), undefined);
    t.equal(await sentFor(told.user.key), SECRET);
    t.equal(await sentFor(SECRET), 'key_malformed');
  }
});

await test('a header that hands it out is replaced too', async (t) => {
  const answer = await post('/token', 'hanna');
  t.match(answer.header('x-token'), /^zsv_/);
  t.equal(await sentFor(answer.header('x-token') ?? ''), SECRET);
});

await test('of the keys that were given out so the oldest goes when there is one too many', async (t) => {
  const keys: string[] = [];
  for (let count = 0; count < 3; count += 1)
    keys.push((JSON.parse((await post('/login', 'vera')).text) as Told).user.key);
  t.strictSame(await Promise.all(keys.map(sentFor)), ['key_revoked', SECRET, SECRET]);
});

await test('a refused sign-in passes as it is, and so does an answer without a credential', async (t) => {
  t.match(await post('/login?refused'), { status: 401, text: '{"error":"no"}' });
  t.match(await post('/login?empty'), { status: 200, text: '{"error":"no"}' });
});

await test('what cannot be read to the end does not pass', async (t) => {
  for (const path of ['/login?long', '/login?page', '/quiet?long']) {
    const answer = await post(path);
    t.equal(answer.status, 502, path);
    t.notMatch(answer.text, SECRET);
  }
  t.equal((await post('/login', '')).status, 502, 'a credential of nobody');
  const long = await client.send('POST', '/login', {
    body: JSON.stringify({ login: 'olga', filler: 'x'.repeat(70_000) }),
    headers: { 'content-type': 'application/json' },
  });
  t.equal(long.status, 502, 'a request too long to say whose it is');
});

await test('a rule may give the client nothing, or leave it what the CRM said; a key made later has the credential', async (t) => {
  const issue = () =>
    JSON.parse(
      gateway.command('keys', 'issue', '--account', 'main', '--subject', 'mark', '--json').stdout,
    ) as { key: string };
  const first = issue();
  t.equal(await sentFor(first.key), null, 'none is known yet');
  const quiet = await post('/quiet', 'mark');
  t.match(JSON.parse(quiet.text), { user: { key: '' }, link: 'https://crm/?key=' });
  t.equal(await sentFor(first.key), SECRET);
  t.match(JSON.parse((await post('/open', 'mark')).text), { user: { key: SECRET } });
  t.equal(await sentFor(issue().key), SECRET);
});

await test('no credential stands in the log or in the store', async (t) => {
  const log = gateway.program.output.stderr + gateway.program.output.stdout;
  t.ok(log.length > 1000);
  t.notMatch(log, SECRET);
  t.notMatch(log, /zsv_\w{14}_/);
  const files = globSync('**/*', { cwd: gateway.data, withFileTypes: true }).filter((file) => file.isFile());
  t.ok(files.some(({ name }) => name === 'keys.db'));
  for (const { parentPath, name } of files)
    t.notOk(readFileSync(join(parentPath, name)).includes(SECRET), name);
});

await test('in the demo a program signs in at the CRM’s own API door and works with an expiring key', async (t) => {
  const demo = await startDemo();
  t.teardown(() => demo.program.stop());
  const acme = new HttpsClient({ host: 'acme.crm.localhost', port: demo.port, ca: demo.ca });
  t.teardown(() => acme.close());
  const signIn = (password: string) =>
    acme.send('POST', '/api/v4/login', {
      body: JSON.stringify({ login: 'boris', password }),
      headers: { 'content-type': 'application/json' },
    });
  t.equal((await signIn('wrong')).status, 401);
  const answer = await signIn('boris-demo-1');
  t.notMatch(answer.text, /crm_[0-9a-f]{40}/);
  const { login, api_key: key } = JSON.parse(answer.text) as { login: string; api_key: string };
  t.match({ login, key }, { login: 'boris', key: /^zsv_/ });
  const leads = await acme.get('/api/v4/leads?limit=1', { headers: { 'x-api-key': key } });
  t.equal(leads.status, 200);
});
