/** Ordinary answers and request bodies pass as they are, over both protocols. */
import { gzipSync } from 'node:zlib';
import tap, { test } from 'tap';
import { Http2Client, HttpsClient } from '../support/https-client.ts';
import { openPolicy, regionOf, targetOf } from '../support/open-policy.ts';
import { type AnswerRequest, startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';

const PACKED = gzipSync('a page that is not touched '.repeat(200));
const BIG = Buffer.alloc(300_000, 'abcdefghijklmnopqrstuvwxyz');

const pages: Record<string, AnswerRequest> = {
  '/page': (_request, response) => response.setHeader('content-length', 4).end('page'),
  '/etag': (request, response) => {
    response.setHeader('etag', '"7"');
    if (request.values('if-none-match')[0] === '"7"') response.writeHead(304).end();
    else response.end('fresh');
  },
  '/range': (request, response) => {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.values('range')[0] ?? '') ?? [];
    const part = BIG.subarray(Number(from), Number(to) + 1);
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${BIG.length}` }).end(part);
  },
  '/packed': (_request, response) => response.setHeader('content-encoding', 'gzip').end(PACKED),
  '/chunked': (_request, response) => {
    response.write(BIG.subarray(0, 1000));
    setTimeout(() => response.end(BIG.subarray(1000)), 20);
  },
  '/empty': (_request, response) => response.writeHead(204).end(),
  '/echo': (request, response) => response.end(request.body),
  '/cookies': (_request, response) => {
    response.setHeader('set-cookie', [
      'APPSID=secret; Path=/; HttpOnly',
      'theme=dark; Path=/',
      'lang=ru; Expires=Wed, 01 Jan 2031 00:00:00 GMT; Path=/',
      '__Host-zasov=planted; Path=/; Secure',
    ]);
    response.end();
  },
  '/talkative': (_request, response) => {
    response.setHeader('connection', 'keep-alive, x-hop');
    response.setHeader('x-hop', 'only here');
    response.setHeader('keep-alive', 'timeout=77');
    response.setHeader('proxy-authenticate', 'Basic');
    response.setHeader('zasov-session', 'nonsense');
    response.setHeader('zasov-anything', 'inside');
    response.setHeader('x-zasov-subject', 'inside');
    response.setHeader('x-kept', 'yes');
    response.end('ok');
  },
};

let locations: Record<string, string> = {};
const upstream = await startRecordingUpstream((request, response, incoming) => {
  const { pathname } = new URL(request.url, 'http://app');
  const location = locations[pathname];
  const page = pages[pathname];
  if (location !== undefined) response.writeHead(302, { location }).end();
  else if (page === undefined) response.end(`got ${request.url}`);
  else page(request, response, incoming);
});
const gateway = await startGateway(openPolicy(regionOf('home', upstream.origin)));
tap.teardown(async () => {
  await gateway.program.stop();
  await upstream.close();
});

for (const version of ['HTTP/1.1', 'HTTP/2']) {
  const target = targetOf(gateway);
  const client = version === 'HTTP/2' ? new Http2Client(target) : new HttpsClient(target);

  await test(`HEAD tells the length of the page and brings no body over ${version}`, async (t) => {
    const answer = await client.send('HEAD', '/page');
    t.match([answer.status, answer.header('content-length'), answer.text], [200, '4', '']);
    t.equal(upstream.requests.at(-1)?.method, 'HEAD');
  });

  await test(`204 has neither body nor length over ${version}`, async (t) => {
    const answer = await client.send('POST', '/empty', { body: 'x' });
    t.match([answer.status, answer.header('content-length'), answer.text], [204, undefined, '']);
  });

  await test(`a conditional request is answered with 304 over ${version}`, async (t) => {
    t.equal((await client.send('GET', '/etag')).text, 'fresh');
    const answer = await client.send('GET', '/etag', { headers: { 'if-none-match': '"7"' } });
    t.match([answer.status, answer.header('etag'), answer.text], [304, '"7"', '']);
  });

  await test(`a range arrives as that range over ${version}`, async (t) => {
    const answer = await client.send('GET', '/range', { headers: { range: 'bytes=1000-1999' } });
    t.match([answer.status, answer.header('content-range')], [206, `bytes 1000-1999/${BIG.length}`]);
    t.ok(answer.body.equals(BIG.subarray(1000, 2000)));
  });

  await test(`gzip passes untouched over ${version}`, async (t) => {
    const answer = await client.send('GET', '/packed', { headers: { 'accept-encoding': 'gzip, br' } });
    t.equal(answer.header('content-encoding'), 'gzip');
    t.ok(answer.body.equals(PACKED));
    t.strictSame(upstream.requests.at(-1)?.values('accept-encoding'), ['gzip, br']);
  });

  await test(`an answer of unknown length arrives whole and without a length over ${version}`, async (t) => {
    const answer = await client.send('GET', '/chunked');
    t.equal(answer.header('content-length'), undefined);
    t.ok(answer.body.equals(BIG));
  });

  await test(`a request body keeps its length over ${version}`, async (t) => {
    const answer = await client.send('PUT', '/echo', { body: BIG });
    t.ok(answer.body.equals(BIG));
    t.strictSame(upstream.requests.at(-1)?.values('content-length'), [String(BIG.length)]);
    t.strictSame(upstream.requests.at(-1)?.values('transfer-encoding'), []);
  });

  await test(`a Location that names a node or the own host over http leads here over ${version}`, async (t) => {
    const { host } = new URL(upstream.origin);
    const own = `https://localhost:${gateway.port}`;
    locations = {
      '/to-node': `${upstream.origin}/next?a=1#there`,
      '/to-node-root': upstream.origin,
      '/to-node-without-scheme': `//${host}/next`,
      '/to-own-http': `http://localhost:${gateway.port}/next`,
      '/to-own-without-port': 'http://localhost/next',
      '/to-stranger': 'http://login.example/next?u=http://localhost/',
      '/to-look-alike': 'http://localhost.evil.example/next',
      '/to-user': 'http://localhost@evil.example/next',
      '/relative': '/next?a=1',
      '/relative-name': 'next',
    };
    const rewritten: Record<string, string> = {
      '/to-node': `${own}/next?a=1#there`,
      '/to-node-root': `${own}/`,
      '/to-node-without-scheme': `${own}/next`,
      '/to-own-http': `${own}/next`,
      '/to-own-without-port': `${own}/next`,
    };
    for (const [path, location] of Object.entries(locations))
      t.equal((await client.send('GET', path)).header('location'), rewritten[path] ?? location, path);
  });

  await test(`vaulted cookies stay, others come, each in a header of its own, over ${version}`, async (t) => {
    const { setCookies } = await client.send('GET', '/cookies');
    const names = new Set(setCookies.map((cookie) => cookie.split('=')[0]));
    t.strictSame(names, new Set(['__Host-Http-zasov', 'lang', 'theme']));
    t.equal(setCookies.length, 3);
    t.ok(setCookies.includes('lang=ru; Expires=Wed, 01 Jan 2031 00:00:00 GMT; Path=/'));
  });

  await test(`what is between the upstream and the gateway stays there over ${version}`, async (t) => {
    const answer = await client.send('GET', '/talkative');
    for (const name of ['x-hop', 'proxy-authenticate', 'zasov-session', 'zasov-anything', 'x-zasov-subject'])
      t.equal(answer.header(name), undefined, name);
    t.notMatch(answer.header('keep-alive') ?? '', /77/);
    t.equal(answer.header('x-kept'), 'yes');
  });

  await test(`many requests pass over one connection of ${version}`, async (t) => {
    for (let round = 0; round < 100; round += 1)
      if ((await client.send('GET', `/n${round}`)).text !== `got /n${round}`) t.fail(`request ${round}`);
    t.pass();
    client.close();
  });
}
