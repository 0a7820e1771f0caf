/** Answers made to break a gateway, or to slip a second answer or a header past it: nobody else gets any of it. */
import tap, { test } from 'tap';
import { Http2Client, HttpsClient } from '../support/https-client.ts';
import { openPolicy, regionOf, targetOf } from '../support/open-policy.ts';
import { startRawUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const head = (line: string): string => `HTTP/1.1 200 OK\r\n${line}\r\n\r\nok`;

/** Answers that are no answers: 502. */
const broken: Record<string, string> = {
  'a status of two digits': 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok',
  'a status below 100': 'HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok',
  'a status above 599': 'HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok',
  'a negative status': 'HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\nok',
  'no status': 'HTTP/1.1\r\nContent-Length: 2\r\n\r\nok',
  'another protocol': 'ICY 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/3': 'HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'bytes before its status line': `\0\0${OK}`,
  'a space before a colon': head('Content-Length : 2'),
  'a name with a space': head('X A: b\r\nContent-Length: 2'),
  'a name with a NUL': head('X\0A: b\r\nContent-Length: 2'),
  'no name': head(': b\r\nContent-Length: 2'),
  'a NUL in a value': head('X-A: a\0b\r\nContent-Length: 2'),
  'a bare CR in a value': head('X-A: a\rX-Zasov-Subject: boss\r\nContent-Length: 2'),
  'a header that begins with a tab': head('\tX-A: a\r\nContent-Length: 2'),
  'a length with a sign': head('Content-Length: +2'),
  'a negative length': head('Content-Length: -2'),
  'a length in hexadecimal': head('Content-Length: 0x2'),
  'a list of lengths': head('Content-Length: 2, 2'),
  'an empty length': head('Content-Length:'),
  'a length beyond 64 bits': head('Content-Length: 18446744073709551618'),
  'chunked and a length': `${head('Transfer-Encoding: chunked\r\nContent-Length: 2').replace('ok', '')}2\r\nok\r\n0\r\n\r\n`,
  'a head that never ends': `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(20_000)}`,
  'interim answers without end': 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'.repeat(5000),
  '100 without end': 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5000),
  '102 without end': 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(5000),
  'an interim answer of a wrong status': 'HTTP/1.1 199 Odd\r\nContent-Length: -1\r\n\r\n',
};

/** Answers whose head is good and whose content is not: an error, never a clean end. */
const cut: Record<string, string> = {
  'a size in other letters': `${CHUNKED}zz\r\nok\r\n0\r\n\r\n`,
  'a negative size': `${CHUNKED}2\r\nok\r\n-1\r\n\r\n`,
  'a size beyond 64 bits': `${CHUNKED}2\r\nok\r\n11111111111111111\r\nx`,
  'a chunk longer than its size': `${CHUNKED}2\r\nok and more\r\n0\r\n\r\n`,
  'LF alone after a size': `${CHUNKED}2\nok\r\n0\r\n\r\n`,
  'a bare CR in an extension': `${CHUNKED}2;a\rb\r\nok\r\n0\r\n\r\n`,
  'trailers that are none': `${CHUNKED}2\r\nok\r\n0\r\nno trailer\r\n\r\n`,
  'trailers with a length': `${CHUNKED}2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n`,
};

/** Answers with something behind them, which nobody may take for the next one's. */
const SMUGGLED = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Smuggled: 1\r\n\r\nsmuggled';
const trailed: Record<string, string> = {
  'another answer': OK + SMUGGLED,
  garbage: `${OK}\0garbage\r\n\r\n`,
  'another answer behind chunks': `${CHUNKED}2\r\nok\r\n0\r\n\r\n${SMUGGLED}`,
};

const named = (all: Record<string, string>, prefix: string) =>
  Object.entries(all).map(([title, bytes], index) => ({ title, bytes, path: `/${prefix}${index}` }));
const cases = { broken: named(broken, 'b'), cut: named(cut, 'c'), trailed: named(trailed, 't') };
const answers = new Map(Object.values(cases).flatMap((all) => all.map(({ path, bytes }) => [path, bytes])));

const upstream = await startRawUpstream((socket, soFar) => {
  const heads = soFar.toString('latin1').split('\r\n\r\n');
  const [, method, path = ''] = /^(\S+) (\S+) HTTP/.exec(heads.at(-2) ?? '') ?? [];
  if (path === '/hints-then-silence') {
    const more = setInterval(
      () => socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'),
      100,
    );
    socket.once('close', () => clearInterval(more));
    return;
  }
  if (path === '/head') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
  else if (path === '/304') socket.write('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello');
  else socket.write(answers.get(path) ?? (method === 'HEAD' ? OK.slice(0, -2) : OK), 'latin1');
});
const gateway = await startGateway(openPolicy(regionOf('home', upstream.origin)));
tap.teardown(async () => {
  await gateway.program.stop();
  await upstream.close();
});

for (const version of ['HTTP/1.1', 'HTTP/2']) {
  const newClient = () =>
    version === 'HTTP/2' ? new Http2Client(targetOf(gateway)) : new HttpsClient(targetOf(gateway));
  const client = newClient();

  for (const { title, path } of cases.broken)
    await test(`an answer with ${title} is a 502 over ${version}`, async (t) => {
      const answer = await client.send('GET', path);
      t.equal(answer.status, 502);
      t.match(JSON.parse(answer.text), { code: 'upstream_failed' });
      t.equal(answer.header('x-zasov-subject'), undefined);
    });

  for (const { title, path } of cases.cut)
    await test(`content with ${title} is an error over ${version}`, async (t) => {
      const other = newClient();
      const outcome = await other.send('GET', path).then(
        ({ status }) => status,
        () => 'broken off',
      );
      t.ok(outcome === 'broken off' || outcome === 502, String(outcome));
      other.close();
    });

  for (const { title, path } of cases.trailed)
    await test(`${title} behind an answer is nobody’s over ${version}`, async (t) => {
      for (let round = 0; round < 5; round += 1) {
        t.match(await client.send('GET', path), { status: 200, text: 'ok' });
        const next = await client.send('GET', '/next');
        t.match([next.status, next.text, next.header('x-smuggled')], [200, 'ok', undefined]);
      }
    });

  await test(`content behind an answer that may have none is nobody’s over ${version}`, async (t) => {
    for (const [method, path, status] of [
      ['HEAD', '/head', 200],
      ['GET', '/304', 304],
    ] as const) {
      t.match(await client.send(method, path), { status, text: '' });
      t.match(await client.send('GET', '/next'), { status: 200, text: 'ok' });
    }
  });

  await test(`interim answers keep nobody waiting for ever over ${version}`, async (t) => {
    const other = newClient();
    const beganMs = performance.now();
    const answer = await other.send('GET', '/hints-then-silence');
    t.ok(answer.status === 502 || answer.status === 504, String(answer.status));
    t.ok(performance.now() - beganMs < 12_000);
    other.close();
    await eventually(() => upstream.openConnections('/hints-then-silence') === 0);
  });
  client.close();
}

await test('none of this was news to the process', (t) => {
  t.notMatch(gateway.program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.end();
});
