/** The gateway's own doors and its own cookie: nobody else opens or sets them. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { HttpsClient } from '../support/https-client.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';

const upstream = await startRecordingUpstream((asked, response) => {
  const path = asked.url.split('?')[0];
  if (path === '/login' && asked.method === 'POST') {
    response.writeHead(302, {
      location: '/',
      'set-cookie': 'SID=in; Path=/',
      'cache-control': 'public, max-age=60',
    });
  } else if (path === '/login') {
    response.setHeader('set-cookie', 'SID=anonymous; Path=/');
    response.setHeader('content-type', 'text/html');
    response.setHeader('cache-control', 'max-age=60');
  } else if (path === '/open') {
    response.setHeader('set-cookie', [
      `${SESSION_COOKIE}=evil; Path=/; Secure`,
      '__Host-zasov-bound=evil',
      'lang=ru',
    ]);
  } else if (path === '/cached') response.setHeader('cache-control', 'public, max-age=600');
  response.end('ok');
});
const gateway = await startGateway(`
regions: [{ id: a, nodes: ["${upstream.origin}"], health: { timeout: 30s } }]
routes:
  - { name: open, match: { path: ["/login", "/open"] }, access: public }
  - { name: app, match: { path: "/**" }, access: session }
sessions:
  rotate_every: 300ms
  grace: 100ms
  vault: [SID]
  begin: [{ match: { method: POST, path: /login }, subject: form.user, success: { status: [302] } }]
`);
tap.teardown(async () => {
  await gateway.program.stop();
  await upstream.close();
});

function stranger(): HttpsClient {
  return new HttpsClient({ host: 'localhost', port: gateway.port, ca: gateway.ca });
}

async function signedIn(): Promise<HttpsClient> {
  const client = stranger();
  await client.post('/login', { user: 'anna' });
  return client;
}

/** Resolves to the status of an answer, or to the error that came instead. */
function knock(credentials: { cert?: string; key?: string }): Promise<number | string> {
  return new Promise((resolve) => {
    const { port } = new URL(gateway.listeners.admin);
    const call = request({ port, host: '127.0.0.1', rejectUnauthorized: false, ...credentials }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    call.on('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message));
    call.end();
  });
}

await test('the admin listener lets nobody in while nobody is enrolled, with or without a certificate', async (t) => {
  const directory = t.testdir();
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=Anna', '-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject], { stdio: 'ignore' });
  const own = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  for (const credentials of [{}, own]) t.equal(await knock(credentials), 403);
});

await test('the control socket and the data directory are for their owner only', async (t) => {
  t.equal(statSync(join(gateway.data, 'control.sock')).mode & 0o777, 0o600);
  for (const file of ['master.key', 'sessions.db']) {
    t.equal(statSync(join(gateway.data, file)).mode & 0o077, 0, file);
  }
});

await test('the CRM cannot set the cookies of the gateway', async (t) => {
  t.same((await stranger().get('/open')).setCookies, ['lang=ru']);
});

await test('an answer that carries the cookie of the gateway is kept by no shared cache', async (t) => {
  const client = stranger();
  const page = await client.get('/login');
  t.match(String(page.setCookies), SESSION_COOKIE);
  t.match(page.header('cache-control'), /^private, no-store\b/);
  const login = await client.post('/login', { user: 'anna' });
  t.match(String(login.setCookies), SESSION_COOKIE);
  t.match(login.header('cache-control'), /^private\b(?!.*\b(?:public|s-maxage)\b)/);
});

await test('an answer that shared caches keep never carries a successor, though one is due', async (t) => {
  const client = await signedIn();
  const untilSuccessor = async () => {
    const deadlineMs = performance.now() + 5000;
    while (performance.now() < deadlineMs) if ((await client.get('/page')).setCookies.length > 0) return true;
    return false;
  };
  t.ok(await untilSuccessor(), 'a successor comes when it is due');
  const untilMs = performance.now() + 1000;
  let asked = 0;
  while (performance.now() < untilMs) {
    const answer = await client.get('/cached');
    asked += 1;
    if (answer.status === 200 && answer.setCookies.length === 0) continue;
    t.fail(`${answer.status} with ${String(answer.setCookies)}`);
    break;
  }
  t.ok(asked > 10);
  t.equal((await client.get('/cached')).header('cache-control'), 'public, max-age=600');
  t.ok(await untilSuccessor(), 'and it was due all the time');
});
