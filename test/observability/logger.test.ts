import { spawnSync } from 'node:child_process';
import { test } from 'tap';
import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { createLogger } from '../../gateway/observability/logger.ts';
import { LINE, openLog } from './open-log.ts';

await test('an access line holds exactly its fields, in one line of JSON', async (t) => {
  const { logger, lines, entry } = openLog();
  logger.access(LINE);
  t.equal(lines.length, 1);
  t.ok(lines[0]?.endsWith('}\n'));
  t.strictSame(entry(), {
    level: 'info',
    time: '2026-11-24T03:04:05.006Z',
    pid: process.pid,
    id: LINE.requestId,
    method: 'GET',
    host: 'acme.crm.localhost',
    path: '/leads/42',
    status: 200,
    bytes_in: 0,
    bytes_out: 1024,
    gateway_ms: 0.457,
    upstream_ms: 12.34,
    client: '192.0.2.7',
    protocol: '2',
    route: 'app',
    account: 'acme',
    session: LINE.sessionId,
    subject_hash: 'f00d',
    region: 'msk',
    node: 'http://127.0.0.1:9101',
    msg: 'request',
  });
  logger.access({ ...LINE, code: 'upstream_failed', complete: false, upstreamMs: undefined });
  t.match(entry(), { code: 'upstream_failed', complete: false });
  t.notOk('upstream_ms' in entry());
});

await test('an error of the system keeps what an operator needs', async (t) => {
  const { logger, entry } = openLog();
  const system = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9101'), {
    code: 'ECONNREFUSED',
    errno: -111,
    syscall: 'connect',
  });
  const failure = new GatewayError('upstream_unreachable', 'no node of region msk answers', {
    cause: system,
  });
  logger.error('request failed', { error: failure, requestId: LINE.requestId, attempts: 2, ok: false });
  t.match(entry(), {
    level: 'error',
    requestId: LINE.requestId,
    attempts: 2,
    ok: false,
    error: {
      type: 'GatewayError',
      code: 'upstream_unreachable',
      message: 'no node of region msk answers',
      cause: { type: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:9101' },
    },
  });
  const round: Record<string, unknown> = {};
  round.self = round;
  logger.info('a ring', { round });
  t.match(JSON.stringify(entry()), '[deep]', 'rings end');
});

await test('the level changes while running, for general and access lines alike', async (t) => {
  const { logger, lines } = openLog('warn');
  logger.info('quiet');
  logger.access(LINE);
  t.equal(lines.length, 0);
  logger.setLevel('info');
  logger.info('heard');
  logger.debug('quiet');
  logger.access(LINE);
  t.equal(lines.length, 2);
  logger.setLevel('error');
  logger.access(LINE);
  logger.warn('quiet');
  logger.error('heard');
  t.equal(lines.length, 3);
});

await test('the time follows the clock, across seconds and backwards', async (t) => {
  const { logger, clock, entry } = openLog();
  for (const [step, expected] of [
    [0, '03:04:05.006'],
    [93, '03:04:05.099'],
    [900, '03:04:05.999'],
    [1, '03:04:06.000'],
    [-2000, '03:04:04.000'],
  ] as const) {
    clock.advance(step);
    logger.access(LINE);
    t.equal(entry().time, `2026-11-24T${expected}Z`);
  }
});

/** Runs a program with a real destination on its standard error. */
function run(program: string) {
  const prelude = [
    `import { createLogger } from '${new URL('../../gateway/observability/logger.ts', import.meta.url).href}';`,
    `import { bufferedDestination } from '${new URL('../../gateway/observability/log-destination.ts', import.meta.url).href}';`,
    'const destination = bufferedDestination();',
    "const logger = createLogger({ level: 'info', clock: { now: () => Date.now() }, destination });",
  ];
  const source = [...prelude, program].join('\n');
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
  return { out: result.stdout, lines: result.stderr.trim().split('\n'), status: result.status };
}

await test('no line is lost at an exit, and standard output stays free', async (t) => {
  const { out, lines, status } = run(
    "for (let i = 0; i < 5000; i += 1) logger.info('line', { i }); process.exit(3);",
  );
  t.equal(status, 3);
  t.equal(out, '');
  t.equal(lines.length, 5000);
  t.match(JSON.parse(lines[4999] ?? ''), { i: 4999, msg: 'line', level: 'info' });
});

await test('lines appear by themselves within the flush interval', async (t) => {
  const { lines } = run("logger.info('one'); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 600);");
  t.match(lines[0], '"msg":"one"');
});

await test('an access line is cheap', async (t) => {
  let bytes = 0;
  const logger = createLogger({
    level: 'info',
    clock: { now: () => Date.now() },
    destination: { write: (line) => void (bytes += line.length) },
  });
  const rounds = 100_000;
  const startedAt = performance.now();
  for (let index = 0; index < rounds; index += 1) logger.access(LINE);
  const microseconds = ((performance.now() - startedAt) / rounds) * 1000;
  t.comment(`${microseconds.toFixed(2)} µs a line of ${Math.round(bytes / rounds)} bytes`);
  t.ok(microseconds < 10, 'far below the cost of a request');
});
