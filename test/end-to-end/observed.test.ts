/** What answers do to sessions when they come late, side by side, or to the wrong client. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { type Answer, HttpsClient } from '../support/https-client.ts';
import { targetOf } from '../support/open-policy.ts';
import { type AnswerRequest, startRecordingUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';

/** Answers that the upstream holds back, by path, until a test lets them go. */
const held = new Map<string, () => void>();
const pages: Record<string, AnswerRequest> = {
  '/login': (request, response) => {
    const user = new URLSearchParams(request.body.toString()).get('user');
    if (request.method === 'POST')
      response.setHeader('set-cookie', `SID=sid-of-${user}; Path=/`).writeHead(303);
    else response.setHeader('set-cookie', 'SID=anonymous; Path=/');
    response.end();
  },
  '/plain': (_request, response) => response.end('plain'),
  '/poll': (_request, response) => response.end('poll'),
  '/sets': (request, response) => {
    const query = new URL(request.url, 'http://app').searchParams;
    response.setHeader('set-cookie', `${query.get('cookie')}; Path=/`).end('set');
  },
};
pages['/offer'] = pages['/sets'] ?? (() => undefined);
const upstream = await startRecordingUpstream((request, response, incoming) => {
  const { pathname, searchParams } = new URL(request.url, 'http://app');
  const answer = () => (pages[pathname] ?? pages['/plain'])?.(request, response, incoming);
  const hold = searchParams.get('hold');
  if (hold === null) answer();
  else held.set(hold, answer);
});
const policy = (sessions: string) => `
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${upstream.origin}"], health: { timeout: 30s } }
routes:
  - { name: login, match: { path: [/login, /public, /offer] }, access: public }
  - { name: all, match: { path: "/**" }, access: session }
sessions:
  vault: ["SID", "V*"]
  login_page: /login
  begin:
    - match: { method: POST, path: /login }
      subject: form.user
      success: { status: 303 }
  end:
    - match: { path: /logout }
${sessions}`;
const [strict, lenient, short] = await Promise.all([
  startGateway(policy('  per_subject: 2\n  anonymous: { per_client: 100/1m }\n')),
  startGateway(policy('  upstream_lost: keep\n  anonymous: { per_client: 3/1m }\n  bind: []\n')),
  startGateway(policy('  idle: 1s\n  passive: [/poll]\n')),
]);
const clients: HttpsClient[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await Promise.all([strict, lenient, short].map(({ program }) => program.stop()));
  await upstream.close();
});

function newClient(gateway: RunningGateway, jar?: CookieJar): HttpsClient {
  const client = new HttpsClient(targetOf(gateway), jar);
  clients.push(client);
  return client;
}

async function signedIn(gateway: RunningGateway, user: string): Promise<HttpsClient> {
  const client = newClient(gateway);
  const { status } = await client.post('/login', { user });
  if (status !== 303) throw new Error(`the sign-in was answered with ${status}`);
  return client;
}

/** Cookies that the upstream sees from a client now. */
async function seenFrom(client: HttpsClient): Promise<string> {
  await client.get('/plain');
  return upstream.requests.at(-1)?.values('cookie').join('; ') ?? '';
}

/** Sends a request whose answer is held back, as by a client that shares the jar but not the connection. */
async function holdBack(gateway: RunningGateway, jar: CookieJar, path: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  const name = `${path}-${held.size}`;
  const client = newClient(gateway, CookieJar.copyOf(jar));
  const url = `${path}${path.includes('?') ? '&' : '?'}hold=${encodeURIComponent(name)}`;
  void client.get(url).then((answer) => answers.push(answer));
  await eventually(
    () => held.has(name),
    3000,
    () => `the request ${url}`,
  );
  return answers;
}

async function letGo(answers: Answer[]): Promise<Answer> {
  for (const [name, answer] of held) {
    held.delete(name);
    answer();
  }
  await eventually(
    () => answers.length === 1,
    3000,
    () => 'the late answer',
  );
  const [answer] = answers;
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

await test('a session whose cookie the upstream replaced is over (upstream_lost: end)', async (t) => {
  const person = await signedIn(strict, 'olga');
  t.match(await seenFrom(person), /SID=sid-of-olga/);
  const answer = await person.get('/sets?cookie=SID%3Danother');
  t.equal(answer.status, 401);
  t.match(JSON.parse(answer.text), { code: 'session_ended' });
  t.equal(person.jar.get(SESSION_COOKIE), undefined, 'the cookie is cleared');
  t.equal((await person.get('/plain')).status, 401);
});

await test('a session whose cookie the upstream deleted is over, one that it repeats is not', async (t) => {
  const person = await signedIn(strict, 'olga');
  t.equal((await person.get('/sets?cookie=SID%3Dsid-of-olga')).status, 200);
  t.equal((await person.get('/sets?cookie=VX%3Dnew')).status, 200, 'nor one that gets another cookie');
  t.equal((await person.get('/sets?cookie=SID%3Dx%3B%20Max-Age%3D0')).status, 401);
});

await test('the newest cookie of the upstream counts (upstream_lost: keep)', async (t) => {
  const person = await signedIn(lenient, 'olga');
  t.equal((await person.get('/sets?cookie=SID%3Danother')).status, 200);
  t.match(await seenFrom(person), /SID=another/);
});

await test('an anonymous visitor may be given another cookie at any time', async (t) => {
  const visitor = newClient(strict);
  await visitor.get('/login');
  t.equal((await visitor.get('/offer?cookie=SID%3Danother')).status, 200);
  await visitor.get('/public');
  t.match(upstream.requests.at(-1)?.values('cookie'), ['SID=another']);
});

await test('an answer to a request from before the last change of the jar changes nothing', async (t) => {
  const person = await signedIn(lenient, 'olga');
  await person.get('/sets?cookie=V1%3Dfirst');
  const late = await holdBack(lenient, person.jar, '/sets?cookie=V1%3Dlate');
  await person.get('/sets?cookie=V1%3Dsecond');
  t.equal((await letGo(late)).status, 200);
  t.match(await seenFrom(person), /V1=second/);
});

await test('an answer from before the last change of the jar does not end the session either', async (t) => {
  const person = await signedIn(strict, 'vera');
  const late = await holdBack(strict, person.jar, '/sets?cookie=SID%3Dlate');
  await person.get('/sets?cookie=V1%3Dx');
  t.equal((await letGo(late)).status, 200);
  t.match(await seenFrom(person), /SID=sid-of-vera/);
});

await test('an answer that comes after the sign-out is replaced, and brings nobody back', async (t) => {
  const person = await signedIn(strict, 'boris');
  const late = await holdBack(strict, person.jar, '/sets?cookie=V1%3Dsecret');
  const page = newClient(strict, CookieJar.copyOf(person.jar));
  t.equal((await person.get('/logout')).status, 200);
  const answer = await letGo(late);
  t.equal(answer.status, 401);
  t.notMatch(answer.text, /set/);
  t.equal((await page.get('/plain')).status, 401);
});

await test('an answer to the visitor of before never touches the cookie of who signed in since', async (t) => {
  const person = newClient(strict);
  await person.get('/login');
  const before = CookieJar.copyOf(person.jar);
  const late = await holdBack(strict, person.jar, '/public');
  const later = await holdBack(strict, person.jar, '/login');
  await person.post('/login', { user: 'galina' });
  const id = person.jar.get(SESSION_COOKIE);
  t.not(id, before.get(SESSION_COOKIE));
  t.strictSame((await letGo(late)).setCookies, [], 'an answer that sets nothing');
  await eventually(() => later.length === 1);
  t.strictSame(later[0]?.setCookies, [], 'an answer that sets the old cookie again');
  const old = newClient(strict, before);
  for (const path of ['/public', '/login', '/plain'])
    t.strictSame((await old.get(path)).setCookies, [], `a request that was sent before, to ${path}`);
  t.match(await seenFrom(person), /SID=sid-of-galina/);
});

await test('a person has so many sessions, and the one that was unused for longest ends first', async (t) => {
  const first = await signedIn(strict, 'dina');
  const second = await signedIn(strict, 'dina');
  await pause(5);
  t.equal((await first.get('/plain')).status, 200);
  const third = await signedIn(strict, 'dina');
  const statuses = [];
  for (const client of [first, second, third]) statuses.push((await client.get('/plain')).status);
  t.equal(statuses.filter((status) => status === 200).length, 2, statuses.join());
  t.equal(statuses[2], 200, 'the newest stays');
});

await test('one network begins so many anonymous sessions and then gets 429; who is signed in does not notice', async (t) => {
  const person = await signedIn(lenient, 'eva');
  const statuses: number[] = [];
  let refused: Answer | undefined;
  for (let round = 0; round < 5; round += 1) {
    const answer = await newClient(lenient).get('/login');
    statuses.push(answer.status);
    if (answer.status === 429) refused = answer;
  }
  t.ok(statuses.includes(200) && statuses.at(-1) === 429, statuses.join());
  t.match(refused?.header('retry-after'), /^\d+$/);
  t.match(JSON.parse(refused?.text ?? '{}'), { code: 'rate_limited' });
  t.equal((await person.get('/plain')).status, 200);
  t.equal((await newClient(lenient).post('/login', { user: 'fresh' })).status, 303, 'nor who signs in');
});

await test('a session that is bound to its browser ends in another one', async (t) => {
  const person = await signedIn(strict, 'faina');
  const thief = newClient(strict, CookieJar.copyOf(person.jar));
  t.equal((await thief.get('/plain', { headers: { 'user-agent': 'curl/8' } })).status, 401);
  t.equal((await person.get('/plain')).status, 401, 'for everybody: there are two holders');
  const free = await signedIn(lenient, 'faina');
  t.equal((await free.get('/plain', { headers: { 'user-agent': 'curl/8' } })).status, 200, 'bind: []');
});

await test('polls of an open tab do not keep a session alive, a person does', async (t) => {
  const [poller, worker] = [await signedIn(short, 'poller'), await signedIn(short, 'worker')];
  const beganMs = performance.now();
  let aliveMs = 0;
  while (performance.now() - beganMs < 1800) {
    await poller.get('/.zasov/session');
    if ((await poller.get('/poll')).status === 200) aliveMs = performance.now() - beganMs;
    t.equal((await worker.get('/plain')).status, 200);
    await pause(100);
  }
  t.ok(aliveMs > 500 && aliveMs < 1300, `the polls were answered for ${Math.round(aliveMs)} ms`);
});
