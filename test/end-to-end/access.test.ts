/** Who gets in where: closed routes, other sites, and paths that mean two things. */
import tap, { test } from 'tap';
import { accountPolicy, ACME, startAccountCrm, Visitors } from '../support/account-crm.ts';
import { HttpsClient } from '../support/https-client.ts';
import { startGateway } from '../support/start-gateway.ts';
import { Wire } from '../support/wire.ts';

const upstream = await startAccountCrm();
const gateway = await startGateway(accountPolicy('{ host: "{account}.crm.localhost" }', upstream.origin));
const people = new Visitors(gateway);
tap.teardown(async () => {
  people.close();
  await gateway.program.stop();
  await upstream.close();
});

const CLOSED: [path: string, status: number, code: string][] = [
  ['/api/v4/leads', 401, 'key_missing'],
  ['/admin', 404, 'not_found'],
  ['/admin/users', 404, 'not_found'],
  ['/closed/x', 403, 'route_denied'],
  ['/no/such/route', 403, 'route_denied'],
  ['/Admin', 403, 'route_denied'],
  ['/app/;/../admin', 400, 'bad_path'],
  ['/app/..;/admin', 400, 'bad_path'],
  ['/.zasov/console', 404, 'not_found'],
  ['/.zasov/', 404, 'not_found'],
  ['/.zasov/session/x', 404, 'not_found'],
  ['/%2ezasov/session', 400, 'bad_path'],
];

for (const who of ['a stranger', 'a person who is signed in'])
  await test(`closed routes are closed to ${who}`, async (t) => {
    const client = who === 'a stranger' ? people.stranger() : await people.signedIn('boris');
    for (const [path, status, code] of CLOSED) {
      const before = upstream.requests.length;
      for (const method of ['GET', 'POST', 'DELETE', 'HEAD']) {
        const answer = await client.send(method, path);
        t.equal(answer.status, status, `${method} ${path}`);
        if (method !== 'HEAD') t.match(JSON.parse(answer.text), { code, status });
      }
      t.equal(upstream.requests.length, before, `${path} never reaches the upstream`);
    }
    t.equal((await client.send('GET', '/admin', { headers: { 'x-api-key': 'zsv_x' } })).status, 404);
  });

await test('a path that some upstreams read as a closed one is refused', async (t) => {
  const wide = await startGateway(
    accountPolicy('{ single: main }', upstream.origin).replace('path: "/app/**"', 'path: "/**"'),
  );
  t.teardown(() => wide.program.stop());
  const person = new HttpsClient({ host: 'localhost', port: wide.port, ca: wide.ca });
  t.equal((await person.post('/login', { user: 'olga' })).status, 303);
  t.equal((await person.get('/page;v=1')).status, 200, 'parameters as such are no harm');
  t.equal((await person.get('/Page')).status, 200);
  const readings: [path: string, status: number][] = [
    ['/Admin', 404],
    ['/ADMIN/users', 404],
    ['/admin;x=1', 404],
    ['/admin;/users', 404],
    ['/admin./x', 404],
    ['/admin%20/x', 404],
    ['/Closed/x', 400],
    ['/API/v4', 400],
    ['/%2563losed/x', 400],
  ];
  for (const [path, status] of readings) {
    const before = upstream.requests.length;
    t.equal((await person.get(path)).status, status, path);
    t.equal(upstream.requests.length, before);
  }
  person.close();
});

await test('the probe tells a page whether it is signed in, and as whom', async (t) => {
  const stranger = people.stranger();
  const before = await stranger.get('/.zasov/session');
  t.strictSame(JSON.parse(before.text), { authenticated: false });
  t.equal(before.header('cache-control'), 'no-store');
  const person = await people.signedIn('olga');
  t.strictSame(JSON.parse((await person.get('/.zasov/session')).text), {
    authenticated: true,
    account: 'acme',
    subject: 'olga',
  });
  const refused = await person.send('POST', '/.zasov/session', { body: 'x' });
  t.match([refused.status, refused.header('allow')], [405, 'GET, HEAD']);
});

const FOREIGN: Record<string, string>[] = [
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { origin: 'https://evil.example' },
  { origin: 'null' },
  { origin: 'https://other.crm.localhost' },
  { origin: 'http://acme.crm.localhost' },
];

await test('unsafe requests that another site started are refused', async (t) => {
  const person = await people.signedIn('olga');
  for (const headers of FOREIGN)
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await person.send(method, '/app/delete', { headers });
      t.match(
        JSON.parse(answer.text),
        { status: 403, code: 'cross_site' },
        `${method} ${JSON.stringify(headers)}`,
      );
    }
  const origin = `https://acme.crm.localhost:${gateway.port}`;
  const own: Record<string, string>[] = [
    {},
    { origin },
    { 'sec-fetch-site': 'same-origin', origin },
    { 'sec-fetch-site': 'none' },
  ];
  for (const headers of own)
    t.equal((await person.send('POST', '/app/save', { headers })).status, 200, JSON.stringify(headers));
  t.equal((await person.send('GET', '/app/', { headers: { 'sec-fetch-site': 'cross-site' } })).status, 200);
  const saml = await person.send('POST', '/saml', { headers: { origin: 'https://idp.example' } });
  t.equal(saml.status, 200, 'where the policy allows it');
});

await test('another site signs nobody in (login CSRF)', async (t) => {
  const attacker = people.stranger();
  await attacker.get('/login');
  for (const headers of FOREIGN) {
    const victim = people.stranger(ACME, attacker.jar);
    const before = upstream.requests.length;
    const answer = await victim.post('/login', { user: 'attacker' }, headers);
    t.equal(answer.status, 403, JSON.stringify(headers));
    t.strictSame(answer.setCookies, []);
    t.equal(upstream.requests.length, before);
  }
});

await test('a WebSocket of another site is refused', async (t) => {
  const person = await people.signedIn('olga');
  const handshake = async (origin: string): Promise<number> => {
    const wire = await Wire.open(gateway);
    wire.send(
      `GET /app/live HTTP/1.1\r\nHost: acme.crm.localhost\r\nUser-Agent: zasov-test\r\nConnection: Upgrade\r\n` +
        `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n` +
        `Origin: ${origin}\r\nCookie: ${person.jar.header()}\r\n\r\n`,
    );
    const { status } = await wire.answer();
    wire.close();
    return status;
  };
  const before = upstream.requests.length;
  for (const origin of [
    'https://evil.example',
    'null',
    'https://other.crm.localhost',
    'http://acme.crm.localhost',
  ])
    t.equal(await handshake(origin), 403, origin);
  t.equal(upstream.requests.length, before);
  t.equal(await handshake('https://acme.crm.localhost'), 200, 'the own one reaches the upstream');
});

await test('a body of two types names nobody', async (t) => {
  const wire = await Wire.open(gateway);
  const before = upstream.requests.length;
  wire.send(
    'POST /login HTTP/1.1\r\nHost: acme.crm.localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n' +
      'Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9\r\n\r\nuser=boss',
  );
  t.equal((await wire.answer()).status, 400);
  t.equal(upstream.requests.length, before);
  wire.close();
});
