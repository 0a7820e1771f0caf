import { fork } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { createLogger } from '../../gateway/observability/logger.ts';
import { type Worker, WorkerPool } from '../../gateway/server/worker-pool.ts';
import { ManualClock } from '../support/manual-clock.ts';

const ENDPOINT = { address: '127.0.0.1', port: 0 };

function poolOf(t: Test, behaviour: () => string) {
  const launchedMs: number[] = [];
  const lost: Worker[] = [];
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const pool = new WorkerPool({
    count: 2,
    logger: createLogger({ level: 'info', clock: new ManualClock(), destination }),
    launch: () => {
      launchedMs.push(performance.now());
      return fork(new URL('pool-worker.ts', import.meta.url), {
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
    },
    start: () => ({
      policies: '',
      data: '',
      version: behaviour(),
      logFile: null,
      tickets: '',
      public: ENDPOINT,
      admin: ENDPOINT,
      share: 2,
    }),
    started: async () => undefined,
    calls: () => ({ news: () => true, anonymous: () => true }),
    lost: (worker) => void lost.push(worker),
  });
  t.teardown(() => pool.stop(0));
  return { pool, launchedMs, lost, lines };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

await test('all workers are ready when the pool is open, and none is left when it stopped', async (t) => {
  const { pool, lost } = poolOf(t, () => 'serves');
  await pool.open();
  const pids = pool.ready.map(({ pid }) => pid);
  t.equal(new Set(pids).size, 2);
  await pool.stop(1000);
  t.strictSame(pool.running, []);
  t.equal(lost.length, 2, 'what they counted is kept');
  t.equal(pool.restarts, 0, 'an end that was asked for is no failure');
  for (const pid of pids) t.notOk(isRunning(pid));
});

await test('a pool whose workers cannot start says why and leaves none running', async (t) => {
  let count = 0;
  const { pool, launchedMs, lost } = poolOf(t, () => ((count += 1) === 1 ? 'serves' : 'refuses'));
  await t.rejects(pool.open(), { code: 'internal', message: /could not start: the port is taken/ });
  t.strictSame(pool.running, []);
  for (const { pid } of lost) t.notOk(isRunning(pid));
  await pause(300);
  t.equal(launchedMs.length, 2, 'and starts no others');
});

await test('a worker that ends is replaced; one that fails again and again, after longer and longer pauses', async (t) => {
  let behaviour = 'serves';
  const { pool, launchedMs, lines } = poolOf(t, () => behaviour);
  await pool.open();
  const [victim, survivor] = pool.ready;
  behaviour = 'dies';
  victim?.kill();
  while (launchedMs.length < 6) await pause(20);
  behaviour = 'serves';
  const gaps = launchedMs.slice(3).map((atMs, index) => atMs - (launchedMs[index + 2] ?? 0));
  for (const [index, gap] of gaps.entries())
    t.ok(gap >= 100 * 2 ** (index + 1), `pause ${index}: ${Math.round(gap)} ms`);
  t.equal(
    pool.ready.some(({ pid }) => pid === survivor?.pid),
    true,
    'the other is not touched',
  );
  t.match(lines.join(''), /"why":"SIGKILL".*\n(.*\n)*.*"why":"exit code 3"/);
  while (pool.ready.length < 2) await pause(20);
  t.pass('and it is replaced for good once it stays');
});
