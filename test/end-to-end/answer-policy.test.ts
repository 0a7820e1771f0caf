/** What the gateway says to browsers about answers: security headers, and which other origins may read them. */
import tap, { test } from 'tap';
import { CookieJar } from '../support/cookie-jar.ts';
import { type Answer, Http2Client, HttpsClient } from '../support/https-client.ts';
import { targetOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';

let answer: Record<string, string | string[]> = {};
const upstream = await startRecordingUpstream((request, response) => {
  for (const [name, value] of Object.entries(answer)) response.setHeader(name, value);
  if (request.url === '/login') {
    response.setHeader('set-cookie', 'SID=1; Path=/');
    response.statusCode = 303;
  }
  response.end('answer');
});
const gateway = await startGateway(`
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${upstream.origin}"] }
headers: { content_security_policy: "frame-ancestors 'self'" }
cors: { origins: ["https://shop.example"], expose: [X-Total] }
routes:
  - { name: admin, match: { path: "/admin/**" }, access: admin }
  - { name: api, match: { path: "/api/**", method: [GET, POST] }, access: api_key }
  - { name: any, match: { path: "/any" }, access: public, cors: { origins: ["*"] } }
  - name: soft
    match: { path: "/soft" }
    access: public
    headers: { nosniff: false, referrer_policy: off, opener_policy: unsafe-none, permissions_policy: off }
  - { name: partner, match: { path: "/partner" }, access: session, cors: { origins: ["https://partner.localhost"], credentials: true } }
  - { name: own, match: { path: "/own" }, access: session }
  - { name: open, match: { path: "/**" }, access: public }
sessions:
  vault: [SID]
  begin:
    - { match: { method: POST, path: /login }, subject: form.user, success: { status: 303 } }
`);
const jar = new CookieJar();
const clients = [new HttpsClient(targetOf(gateway), jar), new Http2Client(targetOf(gateway), jar)];
const [client] = clients as [HttpsClient, Http2Client];
tap.teardown(async () => {
  for (const each of clients) each.close();
  await gateway.program.stop();
  await upstream.close();
});

async function ask(
  path: string,
  theirs: Record<string, string | string[]> = {},
  headers: Record<string, string> = {},
): Promise<Answer> {
  answer = { 'content-type': 'text/html', ...theirs };
  const [first, second] = await Promise.all(clients.map((each) => each.send('GET', path, { headers })));
  const names = ['vary', 'referrer-policy', 'access-control-allow-origin', 'x-content-type-options'];
  for (const name of names)
    if (first?.header(name) !== second?.header(name))
      throw new Error(`${name} differs between the protocols`);
  if (first === undefined) throw new Error('no answer');
  return first;
}

await test('a page says that no other site learns its address, and nothing of what the upstream is made of', async (t) => {
  const page = await ask('/page', { server: 'Apache/2.4', 'x-powered-by': 'PHP/8', 'x-aspnet-version': '4' });
  t.equal(page.header('referrer-policy'), 'same-origin');
  t.equal(page.header('cross-origin-opener-policy'), 'same-origin');
  t.match(page.header('permissions-policy'), /geolocation=\(\).*microphone=\(self\)/);
  t.equal(page.header('x-content-type-options'), 'nosniff');
  t.equal(page.header('content-security-policy'), "frame-ancestors 'self'");
  t.equal(page.header('strict-transport-security'), undefined, 'the certificate is self-signed');
  for (const name of ['server', 'x-powered-by', 'x-aspnet-version']) t.equal(page.header(name), undefined);
  const script = await ask('/x.js', { 'content-type': 'text/javascript', 'referrer-policy': 'origin' });
  t.equal(script.header('x-content-type-options'), 'nosniff');
  t.equal(script.header('cross-origin-opener-policy'), undefined, 'what is no page needs no more');
  t.equal(script.header('referrer-policy'), 'origin');
});

await test('of two values the stricter one stays', async (t) => {
  const strict = await ask('/page', {
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'unsafe-none',
    'permissions-policy': 'geolocation=*, microphone=(), fullscreen=(self)',
    'content-security-policy': "default-src 'self'",
    'x-content-type-options': 'NoSniff',
  });
  t.equal(strict.header('referrer-policy'), 'no-referrer');
  t.equal(strict.header('cross-origin-opener-policy'), 'same-origin');
  const permissions = strict.header('permissions-policy');
  t.match(permissions, 'geolocation=()');
  t.match(permissions, 'microphone=(),');
  t.match(permissions, 'fullscreen=(self)');
  t.equal(
    strict.header('content-security-policy'),
    "default-src 'self', frame-ancestors 'self'",
    'both hold',
  );
  t.equal(strict.header('x-content-type-options'), 'nosniff');
  const lax = await ask('/page', { 'referrer-policy': 'unsafe-url', 'cross-origin-opener-policy': 'x' });
  t.equal(lax.header('referrer-policy'), 'same-origin');
  t.equal(lax.header('cross-origin-opener-policy'), 'same-origin');
});

await test('a route may say otherwise, or nothing', async (t) => {
  const plain = await ask('/soft');
  for (const name of ['referrer-policy', 'permissions-policy', 'x-content-type-options'])
    t.equal(plain.header(name), undefined, name);
  t.equal(plain.header('cross-origin-opener-policy'), 'unsafe-none');
  const theirs = await ask('/soft', { 'referrer-policy': 'origin', 'permissions-policy': 'usb=(self)' });
  t.equal(theirs.header('referrer-policy'), 'origin');
  t.equal(theirs.header('permissions-policy'), 'usb=(self)');
});

await test('what the upstream says of other origins is taken off, and only listed ones may read', async (t) => {
  const wild = {
    'access-control-allow-origin': '*',
    'access-control-allow-credentials': 'true',
    'access-control-allow-headers': '*',
    vary: 'Accept-Encoding',
  };
  const foreign = await ask('/page', wild, { origin: 'https://evil.example' });
  t.equal(foreign.header('access-control-allow-origin'), undefined);
  t.equal(foreign.header('access-control-allow-credentials'), undefined);
  t.equal(foreign.header('vary'), 'Accept-Encoding, Origin', 'no cache gives it to another origin');
  const listed = await ask('/page', wild, { origin: 'https://shop.example' });
  t.equal(listed.header('access-control-allow-origin'), 'https://shop.example');
  t.equal(listed.header('access-control-allow-credentials'), undefined);
  t.equal(listed.header('access-control-expose-headers'), 'x-total');
  t.equal(
    (await ask('/any', wild, { origin: 'https://evil.example' })).header('access-control-allow-origin'),
    '*',
  );
  const refused = await ask('/own', wild, { origin: 'https://shop.example' });
  t.equal(refused.status, 401);
  t.equal(
    refused.header('access-control-allow-origin'),
    'https://shop.example',
    'a failure can be read, too',
  );
});

await test('preflights are answered here, by the route that the request itself would take', async (t) => {
  const before = upstream.requests.length;
  const preflight = (path: string, origin: string, method: string) =>
    client.send('OPTIONS', path, {
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'x-api-key',
      },
    });
  const good = await preflight('/api/leads', 'https://shop.example', 'POST');
  t.equal(good.status, 204);
  t.equal(good.header('access-control-allow-origin'), 'https://shop.example');
  t.equal(good.header('access-control-allow-methods'), 'POST');
  t.match(good.header('access-control-allow-headers'), 'x-api-key');
  t.equal(good.header('access-control-max-age'), '600');
  for (const [path, origin, method] of [
    ['/api/leads', 'https://evil.example', 'POST'],
    ['/api/leads', 'https://shop.example.evil.example', 'POST'],
    ['/api/leads', 'null', 'POST'],
    ['/partner', 'https://shop.example', 'POST'],
    ['/admin/x', 'https://shop.example', 'GET'],
  ] as const) {
    const bad = await preflight(path, origin, method);
    t.equal(bad.status, 403, `${path} ${origin}`);
    t.equal(bad.header('access-control-allow-methods'), undefined);
  }
  t.equal(upstream.requests.length, before, 'the application saw none of them');
  answer = {};
  t.equal((await client.send('OPTIONS', '/page')).status, 200, 'a plain OPTIONS is a request like any');
});

await test('an unsafe request of another origin needs to be listed, with credentials', async (t) => {
  t.equal((await client.post('/login', { user: 'anna' })).status, 303);
  answer = {};
  const post = async (path: string, headers: Record<string, string>) =>
    (await client.send('POST', path, { headers, body: 'x' })).status;
  const partner = 'https://partner.localhost';
  t.equal(await post('/partner', { origin: partner, 'sec-fetch-site': 'same-site' }), 200);
  t.equal(await post('/partner', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }), 403);
  t.equal(await post('/partner', { origin: 'https://evil.example' }), 403);
  t.equal(await post('/own', { origin: partner, 'sec-fetch-site': 'same-site' }), 403);
  t.equal(
    await post('/own', { origin: 'https://shop.example', 'sec-fetch-site': 'cross-site' }),
    403,
    'no credentials',
  );
  t.equal(await post('/own', { 'sec-fetch-site': 'same-origin' }), 200);
  const listed = await client.get('/partner', { headers: { origin: partner } });
  t.equal(listed.header('access-control-allow-credentials'), 'true');
});
