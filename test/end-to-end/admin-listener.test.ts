/** The admin listener with real certificates through real TLS: two people, and nobody else. */
import { execFile, execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import tap, { test } from 'tap';
import { issueClientCertificate } from '../../gateway/admin/client-certificate.ts';
import { auditEvents, type Credentials, metricOf, pemOf } from '../support/admin-gateway.ts';
import { authorityOf, makeAdministrator } from '../support/administrator.ts';
import { Http2Client, HttpsClient } from '../support/https-client.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';
import { ADMIN_HOST, startAdminCrm } from './admin-crm.ts';

const crm = await startAdminCrm();
const { gateway, upstream, anna, annas, borises, client, lastRequest } = crm;
tap.teardown(() => crm.stop());

await test('each of the two gets in, over HTTP/1.1 and HTTP/2, and the CRM hears who it is', async (t) => {
  for (const [credentials, name] of [
    [annas, 'Anna'],
    [borises, 'Boris'],
  ] as const)
    for (const person of [client(credentials), new Http2Client(crm.target(credentials, ADMIN_HOST))]) {
      const answer = await person.send('GET', '/admin/users?x=1');
      t.same([answer.status, answer.text], [200, 'ok']);
      const asked = lastRequest();
      t.equal(asked.url, '/admin/users?x=1');
      t.same(asked.values('x-zasov-auth'), ['admin']);
      t.same(asked.values('x-zasov-subject'), [name]);
      t.same(asked.values('x-zasov-account'), ['acme']);
      const [, claims = ''] = (asked.values('x-zasov-assertion')[0] ?? '').split('.');
      t.match(JSON.parse(Buffer.from(claims, 'base64url').toString()), {
        sub: name,
        account: 'acme',
        auth: 'admin',
        iss: 'zasov',
      });
      person.close();
    }
  await eventually(
    () => auditEvents(gateway).filter(({ event }) => event === 'admin.connected').length >= 4,
    5000,
    () => 'the record of who came',
  );
});

/** People whom the door must not let in, with why. */
async function strangers(): Promise<[who: string, reason: string, credentials: Credentials | undefined][]> {
  const carl = makeAdministrator('Carl');
  const ours = await authorityOf(gateway.data);
  const other = await authorityOf(temporaryDirectory());
  const forged = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issue = (authority: typeof ours, person: typeof carl): Credentials => ({
    cert: issueClientCertificate(authority, {
      name: person.name,
      publicKey: person.publicKey,
      nowMs: Date.now(),
    }),
    key: pemOf(person.privateKey),
  });
  const self = temporaryDirectory();
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/O=Zasov/CN=Anna',
      '-keyout',
      `${self}/k`,
      '-out',
      `${self}/c`,
    ],
    { stdio: 'ignore' },
  );
  const read = (file: string) => execFileSync('cat', [`${self}/${file}`], { encoding: 'utf8' });
  return [
    ['nobody in particular', 'no_certificate', undefined],
    ['a third person with a certificate of the same authority', 'unknown_key', await crm.certify(carl)],
    [
      'a third person under the name of one of the two',
      'unknown_key',
      issue(ours, { ...carl, name: 'Anna' }),
    ],
    ['one of the two with a certificate that has ended', 'expired', await crm.certify(anna, -1)],
    ['a certificate of another authority', 'other_authority', issue(other, anna)],
    [
      'a certificate of another authority with the same name and key id',
      'other_authority',
      issue({ ...ours, privateKey: forged.privateKey }, anna),
    ],
    ['a certificate that vouches for itself', 'other_authority', { cert: read('c'), key: read('k') }],
  ];
}

await test('everybody else is refused, told so, counted and on record', async (t) => {
  const before = upstream.requests.length;
  for (const [who, reason, credentials] of await strangers()) {
    const counted = await metricOf(gateway, 'zasov_admin_denied_total', `reason="${reason}"`);
    const code =
      { no_certificate: 'certificate_missing', expired: 'certificate_expired' }[reason] ??
      'certificate_refused';
    const first = client(credentials);
    for (const path of ['/admin', '/static/x', '/.zasov/console', '/.zasov/jwks.json', '/nothing']) {
      const answer = await first.get(path);
      t.equal(answer.status, 403, `${who}: ${path}`);
      t.match(JSON.parse(answer.text), { code, status: 403 }, `${who}: ${path}`);
      t.equal(answer.header('connection'), 'close', `${who}: ${path}`);
    }
    first.close();
    const second = new Http2Client(crm.target(credentials, ADMIN_HOST));
    t.equal((await second.send('POST', '/admin/users', { body: 'x' })).status, 403, `${who}, HTTP/2`);
    second.close();
    t.match(await tunnelAnswer(credentials, 'localhost:22'), /^HTTP\/1\.1 403 /, `${who}: CONNECT`);
    t.ok((await metricOf(gateway, 'zasov_admin_denied_total', `reason="${reason}"`)) >= counted + 2, who);
    await eventually(
      () =>
        auditEvents(gateway).some(({ event, facts }) => event === 'admin.refused' && facts.reason === reason),
      5000,
      () => `the record of ${who}`,
    );
  }
  t.equal(upstream.requests.length, before, 'nothing of it reaches the upstream');
});

/** What comes back for CONNECT. */
function tunnelAnswer(credentials: Credentials | undefined, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port, ca } = crm.target();
    const socket = connect({ port, host: '127.0.0.1', ca, servername: 'localhost', ...credentials }, () => {
      socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    });
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

await test('whoever does not get through the handshake is counted too', async () => {
  const counted = await metricOf(gateway, 'zasov_admin_denied_total', 'reason="handshake"');
  const plain = connect({
    port: crm.adminPort,
    host: '127.0.0.1',
    ca: gateway.ca,
    servername: 'x',
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_CCM_SHA256',
  });
  await new Promise((resolve) => plain.on('error', resolve));
  await eventually(
    async () => (await metricOf(gateway, 'zasov_admin_denied_total', 'reason="handshake"')) > counted,
    5000,
    () => 'the count of a failed handshake',
  );
});

await test('admin and public routes are there, all others are not', async (t) => {
  const person = client(annas);
  for (const path of ['/admin', '/admin/users', '/login', '/static/style.css'])
    t.equal((await person.get(path)).status, 200, path);
  for (const path of ['/api/leads', '/leads', '/admin/closed', '/admin2', '/.zasov/nothing', '/Admin']) {
    const answer = await person.get(path);
    t.match(JSON.parse(answer.text), { status: 404, code: 'not_found' }, path);
  }
  t.equal((await person.get('/admin/..;/leads')).status, 400);
  person.close();
});

await test('no account, no administration', async (t) => {
  const person = new HttpsClient(crm.target(annas, 'localhost'));
  t.match(JSON.parse((await person.get('/admin')).text), { code: 'account_unknown' });
  person.close();
});

await test('another site cannot make an administrator’s browser act', async (t) => {
  const person = client(annas);
  const before = upstream.requests.length;
  for (const headers of [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    { origin: `https://${ADMIN_HOST}:${gateway.port}` },
  ] as Record<string, string>[])
    t.match(JSON.parse((await person.send('POST', '/admin/users', { headers })).text), {
      code: 'cross_site',
    });
  t.equal(upstream.requests.length, before);
  const own = { origin: `https://${ADMIN_HOST}:${crm.adminPort}` };
  t.equal((await person.send('POST', '/admin/users', { headers: own })).status, 200);
  person.close();
});

await test('what an administrator changes is on record before it is done', async (t) => {
  const person = client(annas);
  await person.post('/admin/users', { name: 'new' });
  const record = auditEvents(gateway).findLast(({ event }) => event === 'admin.request');
  t.match(record?.facts, {
    administrator: 'Anna',
    account: 'acme',
    method: 'POST',
    route: 'panel',
    path: '/admin/users',
  });
  person.close();
});

await test('curl opens the panel with certificate and key', async (t) => {
  const directory = t.testdir({ 'cert.pem': annas.cert, 'key.pem': annas.key });
  const run = async (...more: string[]) => (await curl('-w', '%{http_code} %{http_version}', ...more)).stdout;
  const own = ['--cert', `${directory}/cert.pem`, '--key', `${directory}/key.pem`];
  t.equal(await run(...own), 'ok200 2');
  t.equal(await run('--http1.1', ...own), 'ok200 1.1');
  t.match(await run(), /"code":"certificate_missing".*403 2$/);
});

/** Asks for the panel; the upstream is in this process, so nothing may wait for curl. */
function curl(...more: string[]): Promise<{ stdout: string }> {
  const there = [
    '--cacert',
    gateway.ready.ca as string,
    '--resolve',
    `${ADMIN_HOST}:${crm.adminPort}:127.0.0.1`,
  ];
  return promisify(execFile)('curl', [
    '-sS',
    ...there,
    ...more,
    `https://${ADMIN_HOST}:${crm.adminPort}/admin`,
  ]);
}

await test('somebody without a certificate gets a page that says what is missing', async (t) => {
  const stranger = client();
  const page = await stranger.get('/admin', { headers: { accept: 'text/html', 'accept-language': 'ru' } });
  t.match(page.text, /сертификат/);
  t.match(page.header('content-security-policy'), /default-src 'none'/);
  stranger.close();
});

await test('nothing of a request on the connection makes it another person’s', async (t) => {
  const session = connectHttp2(`https://${ADMIN_HOST}:${crm.adminPort}`, {
    ...crm.target(annas, ADMIN_HOST),
    host: '127.0.0.1',
    servername: ADMIN_HOST,
  });
  const stream = session.request({
    ':path': '/admin',
    'x-zasov-subject': 'Boris',
    'x-zasov-auth': 'session',
    'x-ssl-client-cert': encodeURIComponent(borises.cert),
    'x-client-cert': borises.cert.replaceAll('\n', ' '),
  });
  stream.resume();
  await new Promise((resolve) => stream.on('close', resolve));
  session.close();
  t.same(lastRequest().values('x-zasov-subject'), ['Anna']);
});
