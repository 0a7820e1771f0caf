/** HTTP/1.1 as RFC 9110 and RFC 9112 have it: bytes in, and the bytes that reach the upstream. */
import tap, { test } from 'tap';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startGateway } from '../support/start-gateway.ts';
import { faultsOf, type StrictRequest, startStrictUpstream } from '../support/strict-upstream.ts';
import { Wire } from '../support/wire.ts';
import { cases } from './wire-cases/all-cases.ts';
import type { Arrival } from './wire-cases/wire-case.ts';

const AFTER = 'GET /after HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

const upstream = await startStrictUpstream(({ line }) =>
  line.startsWith('HEAD ')
    ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'
    : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
);
const gateway = await startGateway(openPolicy(regionOf('home', upstream.origin)));
tap.teardown(async () => {
  await gateway.program.stop();
  await upstream.close();
});

function shortened(request: StrictRequest | undefined, wanted: Arrival): Arrival | undefined {
  if (request === undefined) return undefined;
  const headers = Object.keys(wanted.headers ?? {}).map((name) => [name, request.values(name)] as const);
  return {
    line: request.line.replace(/ HTTP\/1\.1$/, ''),
    ...(wanted.body === undefined ? {} : { body: request.body }),
    ...(wanted.framing === undefined ? {} : { framing: request.framing }),
    ...(wanted.headers === undefined ? {} : { headers: Object.fromEntries(headers) }),
  };
}

let expected = 0;
for (const { section, title, bytes, answers, closes, arrives } of cases)
  await test(`${section}: ${title}`, async (t) => {
    const before = upstream.requests.length;
    const wire = await Wire.open(gateway);
    wire.send(bytes);
    const statuses: number[] = [];
    for (const [index] of answers.entries())
      statuses.push((await wire.answer(bytes.split('HTTP/1.1')[index]?.includes('HEAD ') === true)).status);
    t.strictSame(statuses, answers, wire.received.slice(0, 400));
    if (!closes) {
      wire.send(AFTER);
      t.match(await wire.answer(), { status: 200, body: 'ok' }, 'the connection is where it should be');
      t.equal(upstream.requests.at(-1)?.line, 'GET /after HTTP/1.1');
    }
    await wire.closed();
    const own = upstream.requests.slice(before, closes ? undefined : -1);
    t.strictSame(
      own.map((request, index) => shortened(request, arrives[index] ?? { line: '' })),
      arrives,
    );
    t.strictSame(own.flatMap(faultsOf), []);
    t.notMatch(
      own.flatMap(({ headers }) => headers).join('\n'),
      /zasov|boss|evil\.example|[67]\.[67]\.[67]\.[67]/i,
    );
    t.strictSame(upstream.violations, []);
    expected += arrives.length + (closes ? 0 : 1);
  });

await test('of all cases nothing reached the upstream but what they say, and none was news to the process', (t) => {
  t.equal(upstream.requests.length, expected);
  t.ok(cases.length >= 280, `${cases.length} cases`);
  t.notMatch(gateway.program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.end();
});
