/* oxlint-disable unicorn/require-post-message-target-origin -- threads have no origin */
/** The thread of a `GoodClient`: asks over one connection, again and again, and keeps what each answer took. */
import { connect } from 'node:http2';
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

const { port, ca, everyMs, path } = workerData as {
  port: number;
  ca: string;
  everyMs: number;
  path: string;
};
const session = connect(`https://localhost:${port}`, { ca, host: '127.0.0.1' });
session.on('error', () => undefined);
let waits: number[] = [];
let failures: string[] = [];
const state = { isOver: false };

function ask(): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path }, { endStream: true });
    stream.once('response', (headers) => {
      stream.once('end', () => resolve(headers[':status'] ?? 0));
      stream.resume();
    });
    stream.once('error', reject);
  });
}

parentPort?.on('message', (wanted: 'begin' | 'end' | 'stop') => {
  if (wanted === 'stop') {
    state.isOver = true;
    session.destroy();
    parentPort?.close();
    return;
  }
  if (wanted === 'end') parentPort?.postMessage({ waits, failures });
  waits = [];
  failures = [];
});

await ask();
parentPort?.postMessage('ready');
while (!state.isOver) {
  const beganMs = performance.now();
  try {
    const status = await ask();
    if (status !== 200) failures.push(`status ${status}`);
  } catch (error) {
    failures.push(String(error));
  }
  waits.push(performance.now() - beganMs);
  await pause(everyMs);
}
