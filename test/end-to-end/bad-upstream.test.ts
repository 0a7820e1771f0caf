/** Upstreams that misbehave, stall, die or are not there: what the client sees, and what is never sent twice. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';
import { Http2Client, HttpsClient } from '../support/https-client.ts';
import { freePort, openPolicy, regionOf, targetOf } from '../support/open-policy.ts';
import { startRawUpstream, startRecordingUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';
import { eventually, Wire } from '../support/wire.ts';

const BIG = Buffer.alloc(300_000, 'abcdefghijklmnopqrstuvwxyz');

const BROKEN: Record<string, string> = {
  'two-lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokx',
  'both-framings':
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  'no-colon': 'HTTP/1.1 200 OK\r\nthis is no header\r\n\r\nok',
  'control-byte': 'HTTP/1.1 200 OK\r\nX-A: a\u0001b\r\nSet-Cookie: APPSID=x\r\nContent-Length: 2\r\n\r\nok',
  'status-999': 'HTTP/1.1 999 Odd\r\nSet-Cookie: APPSID=x\r\nContent-Length: 2\r\n\r\nok',
  'status-000': 'HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nok',
  switching: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
  folded: 'HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok',
  'endless-head': `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(70_000)}\r\nContent-Length: 2\r\n\r\nok`,
  'no-http': 'SSH-2.0-OpenSSH_9.9\r\n\r\n',
};
const ODD: Record<string, string> = {
  'bad-hints':
    'HTTP/1.1 103 Early Hints\r\nLink: no link; title="a b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'reset-content': 'HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok',
  'no-content': 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
  twice:
    'HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: X-B\r\nX-B: 1\r\nCache-Control: max-age=5\r\nCache-Control: must-revalidate\r\n' +
    'Content-Type: text/event-stream\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok',
  cyrillic:
    'HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename="\u00d0\u009e\u00d1\u0082.pdf"\r\nContent-Length: 2\r\n\r\nok',
  'until-close': 'HTTP/1.0 200 OK\r\n\r\nuntil the end',
  short: 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort',
};

/** Answers each request with the bytes of its name; `never` gets none. */
const raw = await startRawUpstream((socket, soFar) => {
  const heads = soFar.toString('latin1').split('\r\n\r\n');
  const name = /^\S+ \/(\S+) HTTP/m.exec(heads.at(-2) ?? '')?.[1] ?? '';
  if (name === 'refusal') {
    // Says so at the first sight of the head, reads no further and goes.
    socket.pause();
    socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large');
    setTimeout(() => socket.destroy(), 100);
  } else if (name === 'healthz')
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
  else if (name !== 'never') socket.write(BROKEN[name] ?? ODD[name] ?? '', 'latin1');
  if (name === 'until-close' || name === 'short') setTimeout(() => socket.end(), 20);
});
const usedSockets = new WeakSet<object>();
let endedDownloads = 0;
const app = await startRecordingUpstream((request, response, { socket }) => {
  if (request.url.startsWith('/reused') && usedSockets.has(socket)) {
    socket.destroy();
    return;
  }
  usedSockets.add(socket);
  if (request.url === '/echo') response.end(request.body);
  else if (request.url === '/slow') setTimeout(() => response.end('slow'), 2500);
  else if (request.url !== '/endless') response.end('answer');
  else {
    response.once('close', () => (endedDownloads += 1));
    const more = (): void => {
      while (!response.destroyed && response.write(BIG));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  }
});

const nobody = `http://127.0.0.1:${await freePort()}`;
const [rough, lonely, paired, single] = await Promise.all([
  startGateway(openPolicy(regionOf('home', raw.origin))),
  startGateway(openPolicy(regionOf('home', nobody))),
  startGateway(openPolicy(regionOf('home', nobody, app.origin))),
  startGateway(openPolicy(regionOf('home', app.origin), 'body_idle_timeout: 1s')),
]);
const gateways = [rough, lonely, paired, single];
tap.teardown(async () => {
  await Promise.all(gateways.map(({ program }) => program.stop()));
  await Promise.all([raw.close(), app.close()]);
});

for (const version of ['HTTP/1.1', 'HTTP/2']) {
  const newClient = (gateway: RunningGateway) =>
    version === 'HTTP/2' ? new Http2Client(targetOf(gateway)) : new HttpsClient(targetOf(gateway));
  const client = newClient(rough);

  for (const name of Object.keys(BROKEN))
    await test(`an answer with ${name} is a 502 without a word of it over ${version}`, async (t) => {
      const answer = await client.send('GET', `/${name}`);
      t.equal(answer.status, 502);
      t.match(JSON.parse(answer.text), { code: 'upstream_failed', request_id: /^[0-9a-f]{32}$/ });
      t.strictSame(answer.setCookies, []);
    });

  await test(`what may have no content has none, whatever the upstream says, over ${version}`, async (t) => {
    const nothing = await client.send('GET', '/no-content');
    t.match([nothing.status, nothing.header('content-length'), nothing.text], [204, undefined, '']);
    const reset = await client.send('GET', '/reset-content');
    t.match([reset.status, reset.text], [205, '']);
  });

  await test(`bytes of a header that are no ASCII pass as they are over ${version}`, async (t) => {
    const answer = await client.send('GET', '/cyrillic');
    t.equal(answer.header('content-disposition'), 'attachment; filename="\u00d0\u009e\u00d1\u0082.pdf"');
  });

  await test(`headers that came twice are read as one over ${version}`, async (t) => {
    const answer = await client.send('GET', '/twice');
    t.match(answer, { status: 200, text: 'ok' });
    t.equal(answer.header('cache-control'), 'max-age=5, must-revalidate');
    t.equal(answer.header('x-b'), undefined, 'what the second Connection header names does not pass');
  });
  await test(`an answer that ends with its connection arrives whole over ${version}`, async (t) => {
    t.equal((await client.send('GET', '/until-close')).text, 'until the end');
  });

  await test(`hints that are malformed spoil nothing over ${version}`, async (t) => {
    t.match(await client.send('GET', '/bad-hints'), { status: 200, text: 'ok' });
  });

  await test(`an answer that ends early is an error over ${version}`, async (t) => {
    await t.rejects(client.send('GET', '/short'));
    client.close();
  });

  await test(`an upstream that refuses a body halfway is heard over ${version}`, async (t) => {
    const other = newClient(rough);
    const answer = await other.send('POST', '/refusal', { body: Buffer.alloc(2_000_000) });
    other.close();
    t.match([answer.status, answer.text], [413, 'too large']);
  });

  await test(`an upstream that never answers is a 504 after upstream_timeout over ${version}`, async (t) => {
    const beganMs = performance.now();
    const other = newClient(rough);
    const answer = await other.send('GET', '/never');
    other.close();
    t.equal(answer.status, 504);
    t.match(JSON.parse(answer.text), { code: 'upstream_timeout' });
    t.ok(performance.now() - beganMs < 3000, 'the time-out and what a coarse timer adds');
  });

  await test(`an upstream that is down is a 503 with Retry-After, and clears no cookie, over ${version}`, async (t) => {
    const other = newClient(lonely);
    const answer = await other.send('GET', '/page');
    other.close();
    t.match([answer.status, answer.header('retry-after')], [503, /^\d+$/]);
    t.match(JSON.parse(answer.text), { code: 'upstream_unreachable' });
    t.strictSame(answer.setCookies, []);
  });

  await test(`a refused connection fails over to the next node, body and all, over ${version}`, async (t) => {
    const other = newClient(paired);
    const answer = await other.send('POST', '/echo', { body: BIG });
    other.close();
    t.equal(answer.status, 200);
    t.ok(answer.body.equals(BIG));
  });
}

await test('a kept connection that breaks at the moment of use: GET is sent again, POST never', async (t) => {
  const client = new HttpsClient(targetOf(single));
  const count = (url: string) => app.requests.filter((request) => request.url === url).length;
  await client.get('/first');
  t.match(await client.get('/reused?get'), { status: 200, text: 'answer' });
  t.equal(count('/reused?get'), 2, 'once in vain');
  const statuses: number[] = [];
  // A request that meets a new connection is answered and makes it a kept one for the next.
  for (let round = 0; round < 6; round += 1) {
    const { status } = await client.send('POST', `/reused?post${round}`, { body: 'x' });
    statuses.push(status);
    t.equal(count(`/reused?post${round}`), 1, `POST ${round} was answered with ${status}`);
  }
  t.ok(statuses.includes(502), 'one of them met a connection that broke');
  client.close();
});

await test('a reader that stalls gives the upstream’s connection back', async (t) => {
  const wire = await Wire.open(single);
  wire.socket.pause();
  wire.send('GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await eventually(
    () => endedDownloads === 1,
    6000,
    () => 'the end of the upstream’s request',
  );
  t.pass();
  wire.close();
});

await test('a time-out that a reload changed holds for nodes that stay', async (t) => {
  const client = new HttpsClient(targetOf(single));
  t.equal((await client.get('/slow')).status, 504);
  const file = join(single.data, 'test-policies.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('upstream_timeout: 1s', 'upstream_timeout: 10s'));
  t.match(single.command('reload'), { code: 0 });
  t.match(await client.get('/slow'), { status: 200, text: 'slow' });
  client.close();
});

await test('all of this is told in the log and none of it is news to the process', (t) => {
  for (const { program } of gateways)
    t.notMatch(program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.match(rough.program.output.stderr, /"code":"upstream_failed"/);
  t.end();
});
