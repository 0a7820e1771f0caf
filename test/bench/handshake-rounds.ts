import { type ConnectionOptions, type TLSSocket, connect } from 'node:tls';
import { cpuMicroseconds, processTree } from './process-meter.ts';
import type { Surroundings, Target } from './target.ts';
import { publicPort } from './target.ts';

/** What one TLS handshake costs a target. */
export interface HandshakeFigures {
  readonly name: string;
  readonly version: string;
  /** CPU µs of a full handshake and of a resumed one, the middle of some rounds. */
  readonly fullMicroseconds: number;
  readonly resumedMicroseconds: number;
  /** Part of the second kind that really resumed; anything below 1 makes its figure worthless. */
  readonly resumedShare: number;
  readonly group: string;
}

/** How many handshakes. */
export interface HandshakeEffort {
  readonly rounds: number;
  readonly handshakes: number;
}

const CONCURRENCY = 8;

interface Handshake {
  readonly session: Buffer | undefined;
  readonly isResumed: boolean;
  readonly group: string;
}

/** Node names curves only, and leaves what it has no name for empty: then it is the hybrid. */
function groupOf(socket: TLSSocket): string {
  const { name = 'hybrid' } = (socket.getEphemeralKeyInfo() ?? {}) as { name?: string };
  return name;
}

/** One connection to the end of its handshake, with the answer to a request, so that tickets have come. */
async function shake(options: ConnectionOptions): Promise<Handshake> {
  return await new Promise((resolve, reject) => {
    let session: Buffer | undefined;
    let [isResumed, group] = [false, ''];
    const socket = connect(options, () => {
      isResumed = socket.isSessionReused();
      group = groupOf(socket);
      socket.write('GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    });
    socket.on('session', (ticket: Buffer) => (session = ticket));
    socket.on('error', reject);
    socket.on('data', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve({ session, isResumed, group }));
  });
}

async function many(count: number, one: () => Promise<void>): Promise<void> {
  let left = count;
  const next = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, next));
}

function middle(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}

/**
 * Measures full and resumed handshakes of one target, each with one small request: what stays after taking the
 * difference between the two kinds is the key exchange and the signature.
 */
export async function handshakesOf(
  target: Target,
  around: Surroundings,
  effort: HandshakeEffort,
  version: 'TLSv1.2' | 'TLSv1.3',
): Promise<HandshakeFigures> {
  const child = await target.start(around);
  const pids = processTree(child.pid);
  const options = {
    host: '127.0.0.1',
    port: publicPort(child),
    servername: 'localhost',
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
  } as const;
  const costOf = async (count: number, one: () => Promise<void>): Promise<number> => {
    const before = cpuMicroseconds(pids);
    await many(count, one);
    return (cpuMicroseconds(pids) - before) / count;
  };
  await many(effort.handshakes, async () => void (await shake(options)));
  const [full, resumed]: [number[], number[]] = [[], []];
  let resumptions = 0;
  let group = '';
  for (let round = 0; round < effort.rounds; round += 1) {
    full.push(await costOf(effort.handshakes, async () => void (await shake(options))));
    const first = await shake(options);
    const { session } = first;
    ({ group } = first);
    resumed.push(
      await costOf(effort.handshakes, async () => {
        const again = await shake({ ...options, session });
        if (again.isResumed) resumptions += 1;
      }),
    );
  }
  await child.stop();
  return {
    name: target.name,
    version,
    fullMicroseconds: middle(full),
    resumedMicroseconds: middle(resumed),
    resumedShare: resumptions / (effort.rounds * effort.handshakes),
    group,
  };
}
