/**
 * DokuWiki's XML-RPC API, unmodified, behind keys that expire: a program knows a key of the gateway's, and the wiki gets
 * the name and password that it wants, which only the gateway knows. `dokuwiki.yaml` with one route and one section more.
 */
import { readFileSync } from 'node:fs';
import tap, { test } from 'tap';
import { Agent } from 'undici';
import { startDokuwiki } from '../support/dokuwiki.ts';
import { type Answer, HttpsClient } from '../support/https-client.ts';
import { startGateway } from '../support/start-gateway.ts';
import { DokuwikiClient } from './dokuwiki-client.ts';

const PATH = '/lib/exe/xmlrpc.php';
const PASSWORD = 'wiki-password-1';
const CLOSED =
  "{ name: remote calls, match: { path: ['/lib/exe/xmlrpc.php', '/lib/exe/xmlrpc.php/**'] }, access: deny }";
const OPEN = `{ name: remote calls, match: { path: ${PATH}, method: POST }, access: api_key, limit: calls }`;

const wiki = await startDokuwiki({ olga: PASSWORD, boss: 'boss-password' }, true);
const policy = readFileSync('test/application/dokuwiki.yaml', 'utf8');
if (!policy.includes(CLOSED)) throw new Error('the example closes the remote calls');
const gateway = await startGateway(
  `${policy.replace('http://127.0.0.1:9555', wiki.origin).replace(CLOSED, OPEN)}
limits: { calls: { per: api_key, requests: 100/1s } }
api_keys:
  in: ['header:X-Api-Key', bearer]
  upstream: { header: Authorization }
`,
);
const client = new HttpsClient({ host: 'localhost', port: gateway.port, ca: gateway.ca });
tap.teardown(async () => {
  client.close();
  await gateway.program.stop();
  await wiki.stop();
});

/** One call as an XML-RPC library makes it; all parameters are strings. */
function call(headers: Record<string, string>, method: string, ...parameters: string[]): Promise<Answer> {
  const values = parameters.map((text) => `<param><value><string>${text}</string></value></param>`);
  return client.send('POST', PATH, {
    body: `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${values.join('')}</params></methodCall>`,
    headers: { 'content-type': 'text/xml', ...headers },
  });
}

async function setCredential(credential: string): Promise<number> {
  const agent = new Agent({ connect: { socketPath: `${gateway.data}/control.sock` } });
  const path = '/v1/subjects/wiki/olga/upstream-credential';
  const body = JSON.stringify({ credential });
  const answer = await agent.request({ origin: 'http://localhost', method: 'PUT', path, body });
  await answer.body.dump();
  await agent.close();
  return answer.statusCode;
}

const basic = (password: string): string => `Basic ${Buffer.from(`olga:${password}`).toString('base64')}`;
const issued = gateway.command('keys', 'issue', '--account', 'wiki', '--subject', 'olga', '--json');
const { id, key } = JSON.parse(issued.stdout) as { id: string; key: string };

await test('a name and a password open the API no more, and a key alone tells the wiki nobody', async (t) => {
  const denied = await call({ authorization: basic(PASSWORD) }, 'wiki.getPage', 'start');
  t.match(JSON.parse(denied.text), { status: 401, code: 'key_missing' });
  const keyed = await call({ 'x-api-key': key }, 'wiki.putPage', 'api:deal', 'x');
  t.match(keyed.text, /<methodResponse>/, 'the wiki answers');
  t.notMatch(keyed.text, '<boolean>1</boolean>', 'but knows nobody until it is given a credential');
});

await test('a program writes and reads pages with a key, and the wiki sees the person', async (t) => {
  t.equal(await setCredential(basic(PASSWORD)), 200);
  const places: Record<string, string>[] = [{ 'x-api-key': key }, { authorization: `Bearer ${key}` }];
  for (const headers of places) {
    const saved = await call(headers, 'wiki.putPage', 'api:deal', `Два вагона ${Object.keys(headers)[0]}`);
    t.equal(saved.status, 200);
    t.match(saved.text, '<boolean>1</boolean>');
    const page = await call(headers, 'wiki.getPage', 'api:deal');
    t.match(page.text, `Два вагона ${Object.keys(headers)[0]}`);
    const version = await call(headers, 'wiki.getPageInfo', 'api:deal');
    t.match(version.text, /<name>author<\/name>\s*<value>\s*<string>olga</);
    t.strictSame(page.setCookies, [], 'no session begins');
    t.notMatch(page.text + saved.text, PASSWORD);
  }
});

await test('a new password in the wiki ends the key before anybody is told, and the old credential opens nothing', async (t) => {
  const person = new HttpsClient({ host: 'localhost', port: gateway.port, ca: gateway.ca });
  t.teardown(() => person.close());
  const browser = new DokuwikiClient(person);
  t.equal((await browser.signIn('olga', PASSWORD)).status, 302);
  t.equal((await browser.changeProfile(PASSWORD, 'wiki-password-2')).status, 200);
  t.match(JSON.parse((await call({ 'x-api-key': key }, 'wiki.getPage', 'api:deal')).text), {
    code: 'key_rotated',
  });
  t.equal((await browser.signIn('olga', 'wiki-password-2')).status, 302);
  const page = await person.get('/.zasov/account', { headers: { accept: 'text/html' } });
  const token = /name="token" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
  const successor = `${id.slice(0, 12)}01`;
  t.match(page.text, successor);
  await person.post('/.zasov/account', { token, action: 'reveal', id: successor });
  const shown = await person.get('/.zasov/account', { headers: { accept: 'text/html' } });
  const next = /zsv_\w{14}_\w+/.exec(shown.text)?.[0] ?? '';
  const stale = await call({ 'x-api-key': next }, 'wiki.getPage', 'api:deal');
  t.notMatch(stale.text, 'Два вагона', 'the wiki’s own password changed, too');
  t.equal(await setCredential(basic('wiki-password-2')), 200);
  t.match((await call({ 'x-api-key': next }, 'wiki.getPage', 'api:deal')).text, 'Два вагона');
});

await test('neither the key nor the credential stands in the log', async (t) => {
  const log = gateway.program.output.stderr;
  t.ok(log.length > 1000);
  for (const secret of [PASSWORD, basic(PASSWORD), key]) t.notOk(log.includes(secret));
});
