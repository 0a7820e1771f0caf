import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';

const LINES = 6000;

await test('several processes that log to one slow pipe never tear each other’s lines', async (t) => {
  const program = fileURLToPath(new URL('log-writer.ts', import.meta.url));
  const writer = `"${process.execPath}" "${program}" ${LINES} 300`;
  // Node's own channels are sockets; a real pipe is what container engines and service managers give.
  const child = spawn(
    'sh',
    ['-c', `( ${writer} & ${writer} & wait ) 2>&1 | ( sleep 0.3; dd bs=5000 status=none )`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  t.teardown(() => void child.kill());
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    text += chunk as string;
    // A reader that is slower than the writers, so that the pipe is full most of the time.
    if (text.length % 7 === 0) await pause(5);
  }
  const lines = text.split('\n').slice(0, -1);
  const writers = new Map<number, number>();
  for (const line of lines) {
    const { pid, count } = JSON.parse(line) as { pid: number; count: number };
    if (count !== (writers.get(pid) ?? 0))
      t.fail(`line ${count} of ${pid} came at the place of ${writers.get(pid)}`);
    writers.set(pid, count + 1);
  }
  t.strictSame([...writers.values()], [LINES, LINES], 'every line is whole, there, and in order');
});
