/**
 * The crowd of the soak, in a thread of its own: what its thousands of handshakes cost must hold up neither the good
 * client nor the upstream that answers it.
 */
/* oxlint-disable unicorn/require-post-message-target-origin -- threads have no origin */
import { connect as connectPlain } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { parentPort, workerData } from 'node:worker_threads';

/** What the crowd can be told to do. */
export type CrowdOrder =
  | { readonly kind: 'open'; readonly count: number }
  | { readonly kind: 'flood'; readonly forMs: number }
  | { readonly kind: 'drip'; readonly count: number; readonly of: 'head' | 'body' }
  | { readonly kind: 'leave' };

/** What came of it. */
export interface CrowdAnswer {
  readonly said: string;
  /** What the gateway should have done and did not. */
  readonly fault?: string | undefined;
}

const { port, ca } = workerData as { readonly port: number; readonly ca: string };
const HEAD = 'HTTP/1.1\r\nHost: localhost\r\n';
/** What comes a byte at a time; the policy gives either of them 5 s, and a sweep comes behind that. */
const BEGUN = {
  head: `GET /slow ${HEAD}X-Drip: `,
  body: `POST /slow ${HEAD}Content-Length: 9999\r\n\r\n`,
};
const CUT_WITHIN_MS = 10_000;
const AT_ONCE = 20;
const held: TLSSocket[] = [];

parentPort?.on('message', (order: CrowdOrder) => {
  void obey(order).then((answer) => parentPort?.postMessage(answer));
});

async function obey(order: CrowdOrder): Promise<CrowdAnswer> {
  switch (order.kind) {
    case 'open':
      return openIdle(order.count);
    case 'flood':
      return flood(order.forMs);
    case 'drip':
      return drip(order.count, BEGUN[order.of]);
    case 'leave':
      return leave();
  }
}

/** Those that were silent for longer than the keep-alive time are closed already. */
function leave(): CrowdAnswer {
  const left = held.filter(({ destroyed }) => !destroyed);
  for (const socket of left) socket.destroy();
  return { said: `${left.length} go at once` };
}

/** Each client has a hundred connections at most. */
async function openIdle(count: number): Promise<CrowdAnswer> {
  while (held.length < count) {
    const batch = Math.min(AT_ONCE, count - held.length);
    const opened = await Promise.all(
      Array.from({ length: batch }, (_, index) => open(addressOf(Math.floor((held.length + index) / 100)))),
    );
    const come = opened.flatMap((socket) => socket ?? []);
    // A connection that never asks for anything is cut after header_timeout.
    for (const socket of come) socket.write(`GET /idle ${HEAD}\r\n`);
    held.push(...come);
    if (opened.includes(undefined)) await pause(50);
  }
  return { said: `${held.length} are open` };
}

async function flood(forMs: number): Promise<CrowdAnswer> {
  const untilMs = performance.now() + forMs;
  let opened = 0;
  let refused = 0;
  const one = async (number: number) => {
    while (performance.now() < untilMs) {
      const socket = await open(`127.9.0.${number}`);
      if (socket === undefined) refused += 1;
      else opened += 1;
      socket?.destroy();
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, index) => one(index + 1)));
  return { said: `${opened} handshakes, ${refused} connections refused before any` };
}

async function drip(count: number, begin: string): Promise<CrowdAnswer> {
  const slow: TLSSocket[] = [];
  const cutMs: number[] = [];
  // Opened a few at a time: what is asked here is what slow clients do once they are in.
  while (slow.length < count) {
    const batch = Array.from({ length: AT_ONCE }, (_, index) =>
      open(`127.8.${(slow.length + index) % 100}.1`),
    );
    for (const socket of (await Promise.all(batch)).flatMap((each) => each ?? [])) {
      const beganMs = performance.now();
      socket.once('close', () => cutMs.push(performance.now() - beganMs));
      socket.write(begin);
      slow.push(socket);
    }
  }
  const beganMs = performance.now();
  const timer = setInterval(() => {
    for (const socket of slow) if (socket.writable) socket.write('x');
  }, 500);
  while (cutMs.length < slow.length && performance.now() - beganMs < 30_000) await pause(50);
  clearInterval(timer);
  const longestMs = Math.max(...cutMs);
  const said = `${cutMs.length} of ${slow.length} cut, the last one ${(longestMs / 1000).toFixed(1)} s after it began`;
  const isLate = cutMs.length < slow.length || longestMs > CUT_WITHIN_MS;
  return { said, fault: isLate ? `slow clients were not cut in time: ${said}` : undefined };
}

async function open(localAddress: string): Promise<TLSSocket | undefined> {
  const socket = connect({
    socket: connectPlain({ host: '127.0.0.1', port, localAddress }),
    ca,
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
  });
  socket.on('error', () => undefined).resume();
  return await new Promise((resolve) => {
    socket.once('secureConnect', () => resolve(socket)).once('close', () => resolve(undefined));
  });
}

function addressOf(number: number): string {
  return `127.1.${Math.floor(number / 200)}.${1 + (number % 200)}`;
}
