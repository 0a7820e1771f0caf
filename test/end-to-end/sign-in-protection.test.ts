/** Failed sign-ins close the door for who guesses, and never for who signed in from there before. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { KNOWN_COOKIE } from '../../gateway/pipeline/known-client.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { type Answer, HttpsClient } from '../support/https-client.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';
import { Wire } from '../support/wire.ts';

const PEOPLE = ['anna', 'boris', 'carla', 'dora', 'erna'];
const upstream = await startRecordingUpstream((request, response) => {
  const form = new URLSearchParams(request.body.toString());
  const user = form.get('user')?.toLowerCase() ?? '';
  if (form.get('password') === 'broken') response.writeHead(500).end();
  else if (form.get('password') === 'slow') setTimeout(() => response.end('wrong'), 300);
  else if (request.method === 'POST' && form.get('password') === `${user}-pw` && PEOPLE.includes(user)) {
    response.setHeader('set-cookie', `SID=${Math.random()}; Path=/`);
    response.writeHead(303, { location: '/' }).end();
  } else response.end('the form again');
});

const policies = (limit: string) => `
accounts: { host: '{account}.crm.localhost' }
trusted_proxies: [127.0.0.1]
tls:
  certificates:
    - { hosts: ['*.crm.localhost', localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${upstream.origin}"], health: { timeout: 30s } }
routes:
  - { name: login, match: { path: /login }, access: public }
  - { name: app, match: { path: "/**" }, access: session }
sessions:
  vault: [SID]
  begin:
    - { match: { path: /login }, subject: form.user, success: { status: 303 } }
limits:
  ${limit}
`;
const gateway = await startGateway(
  policies('login: { per: [client, subject], failures: 4/15m, block: 15m }'),
);
const clients: HttpsClient[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await upstream.close();
});

let networks = 0;
/** A client somewhere on the Internet; another network each time unless one is given. */
class Visitor {
  readonly client: HttpsClient;
  readonly #address: string;

  constructor(jar = new CookieJar(), address = `198.${(networks += 1)}.0.1`, host = 'acme.crm.localhost') {
    this.#address = address;
    const { port, ca } = gateway;
    this.client = new HttpsClient({ host, port, ca }, jar);
    clients.push(this.client);
  }

  async signIn(user: string, password: string, headers: Record<string, string> = {}): Promise<Answer> {
    const sent = { 'x-forwarded-for': this.#address, ...headers };
    return await this.client.post('/login', { user, password }, sent);
  }
}

async function metric(text: string): Promise<number> {
  const all = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  const line = all.split('\n').find((each) => each.startsWith(`${text} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

await test('a name is closed after so many failures, from wherever they come, whether the person exists or not', async (t) => {
  for (const name of ['anna', 'nobody-of-this-name']) {
    for (let guess = 0; guess < 4; guess += 1) {
      const answer = await new Visitor().signIn(
        guess % 2 === 0 ? name : ` ${name.toUpperCase()}`,
        `guess-${guess}`,
      );
      t.equal(answer.status, 200);
      t.same(
        answer.setCookies.filter((each) => each.startsWith(KNOWN_COOKIE)),
        [],
      );
    }
    const before = upstream.requests.length;
    const closed = await new Visitor().signIn(name, `${name}-pw`);
    t.equal(closed.status, 429, 'the right password is not even tried');
    t.match(JSON.parse(closed.text), {
      code: 'sign_in_blocked',
      title: 'Too many sign-ins failed; try again later',
    });
    t.match(closed.header('retry-after'), /^(?:900|89\d)$/);
    t.equal(closed.header('ratelimit'), undefined, 'guessers are not told how many guesses are left');
    t.equal(upstream.requests.length, before);
  }
  const page = await new Visitor().signIn('anna', 'x', { accept: 'text/html' });
  t.equal(page.status, 429);
  t.match(page.header('content-type'), 'text/html');
  t.match(page.text, 'from which you signed in before');
  t.equal((await new Visitor().signIn('boris', 'boris-pw')).status, 303, 'nobody else is concerned');
  t.equal(await metric('zasov_sign_in_failures_total'), 8);
  t.equal(await metric('zasov_sign_in_blocks_total{by="subject"}'), 2);
  t.equal(await metric('zasov_rate_limited_total{limit="login"}'), 3);
});

await test('who signed in from a client before is not locked out of it by anybody', async (t) => {
  const home = new CookieJar();
  t.equal((await new Visitor(home).signIn('carla', 'carla-pw')).status, 303);
  const known = home.get(KNOWN_COOKIE);
  t.type(known, 'string');
  // Somebody in the same office, and others from all over the world.
  const office = '203.0.113.7';
  for (let guess = 0; guess < 6; guess += 1) {
    await new Visitor(undefined, office).signIn(`x${guess}`, 'wrong');
    await new Visitor().signIn('carla', 'wrong');
  }
  t.equal(
    (await new Visitor(undefined, office).signIn('dora', 'dora-pw')).status,
    429,
    'the office is closed',
  );
  t.equal((await new Visitor().signIn('carla', 'carla-pw')).status, 429, 'the name is closed');
  const jar = new CookieJar();
  jar.set(KNOWN_COOKIE, known ?? '');
  t.equal((await new Visitor(jar, office).signIn('Carla', 'carla-pw')).status, 303, 'and she gets in');
  t.not(jar.get(KNOWN_COOKIE), known, 'each sign-in makes it new');
  // What makes a client known opens nothing else.
  const copy = new CookieJar();
  copy.set(KNOWN_COOKIE, known ?? '');
  t.equal((await new Visitor(copy, office).signIn('dora', 'dora-pw')).status, 429, 'another person');
  for (let guess = 0; guess < 4; guess += 1)
    t.equal((await new Visitor(copy).signIn('carla', 'wrong')).status, 200);
  t.equal(
    (await new Visitor(copy).signIn('carla', 'carla-pw')).status,
    429,
    'it has four guesses like everybody',
  );
  t.equal(
    (await new Visitor(jar).signIn('carla', 'carla-pw')).status,
    303,
    'the newer one is counted by itself',
  );
  const seen = upstream.requests.at(-1)?.values('cookie').join();
  t.notMatch(seen, 'zasov', 'the application never sees it');
});

await test('a client network is closed after so many failures under any names', async (t) => {
  const address = '192.0.2.55';
  for (let guess = 0; guess < 4; guess += 1)
    t.equal((await new Visitor(undefined, address).signIn(`name-${guess}`, 'x')).status, 200);
  t.equal((await new Visitor(undefined, '192.0.2.56').signIn('erna', 'erna-pw')).status, 429, 'a neighbour');
  t.equal((await new Visitor(undefined, '192.0.3.56').signIn('erna', 'erna-pw')).status, 303);
  const look = new HttpsClient({ host: 'acme.crm.localhost', port: gateway.port, ca: gateway.ca });
  clients.push(look);
  t.equal(
    (await look.get('/login', { headers: { 'x-forwarded-for': address } })).status,
    200,
    'the form still opens',
  );
});

await test('success and an application that failed cost nothing', async (t) => {
  const address = '198.18.0.1';
  for (let round = 0; round < 12; round += 1) {
    t.equal((await new Visitor(undefined, address).signIn('boris', 'boris-pw')).status, 303);
    t.equal((await new Visitor(undefined, address).signIn('boris', 'broken')).status, 500);
  }
});

await test('a hundred guesses at once are as few as one after the other, and so are those that nobody waits for', async (t) => {
  const before = upstream.requests.length;
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => new Visitor().signIn('parallel', 'slow')),
  );
  t.equal(answers.filter(({ status }) => status === 200).length, 4);
  t.equal(upstream.requests.length - before, 4);
  for (let guess = 0; guess < 4; guess += 1) {
    const wire = await Wire.open(gateway);
    const body = 'user=aborted&password=slow';
    wire.send(
      `POST /login HTTP/1.1\r\nHost: acme.crm.localhost\r\nX-Forwarded-For: 198.19.${guess}.1\r\n` +
        `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const sent = upstream.requests.length;
    for (let tries = 0; tries < 200 && upstream.requests.length === sent; tries += 1) await pause(5);
    wire.socket.destroy();
  }
  let status = 200;
  for (let tries = 0; tries < 4 && status === 200; tries += 1) {
    await pause(100);
    ({ status } = await new Visitor().signIn('aborted', 'x'));
  }
  t.equal(status, 429);
});

await test('the door of another account stays open', async (t) => {
  for (let guess = 0; guess < 5; guess += 1) await new Visitor().signIn('dora', 'wrong');
  t.equal((await new Visitor().signIn('dora', 'dora-pw')).status, 429);
  t.equal(
    (await new Visitor(undefined, undefined, 'neva.crm.localhost').signIn('dora', 'dora-pw')).status,
    303,
  );
});

await test('a block outlives a restart, and opens when its time is over', async (t) => {
  const short = policies('login: { per: subject, failures: 2/2s, block: 3s }');
  let node: RunningGateway = await startGateway(short);
  const ask = async () => {
    const client = new HttpsClient({ host: 'acme.crm.localhost', port: node.port, ca: node.ca });
    const answer = await client.post('/login', { user: 'anna', password: 'wrong' });
    client.close();
    return answer.status;
  };
  t.same([await ask(), await ask(), await ask()], [200, 200, 429]);
  await node.program.stop();
  node = await startGateway(short, node.data);
  t.teardown(() => node.program.stop());
  const since = performance.now();
  let status = await ask();
  // The first attempt asks the store behind the request.
  if (status === 200) status = await pause(100).then(ask);
  t.equal(status, 429);
  while (status === 429 && performance.now() - since < 10_000) {
    await pause(100);
    status = await ask();
  }
  t.equal(status, 200);
});
