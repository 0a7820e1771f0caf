import { setTimeout as delay } from 'node:timers/promises';
import { LoadDriver } from './load-driver.ts';
import { processTree, residentBytes } from './process-meter.ts';
import type { Surroundings, Target } from './target.ts';
import { publicPort } from './target.ts';

/** One target's memory. */
export interface MemoryFigures {
  readonly name: string;
  /** Resident bytes after the warm-up, before the connections. */
  readonly restingBytes: number;
  readonly perConnectionBytes: number;
  /** Only where there are sessions. */
  readonly perSessionBytes: number | undefined;
}

/** How many of each. */
export interface MemoryEffort {
  readonly warmupRequests: number;
  readonly connections: number;
  readonly sessions: number;
}

const settleMs = 1500;

async function settledBytes(pids: readonly number[]): Promise<number> {
  await delay(settleMs);
  return residentBytes(pids);
}

/**
 * Measures what an idle TLS connection and a session add to the resident memory of a fresh process. Every connection
 * has made one request before it idles; every session comes from a real login.
 */
export async function memoryOf(
  target: Target,
  around: Surroundings,
  effort: MemoryEffort,
): Promise<MemoryFigures> {
  const child = await target.start(around);
  const load = new LoadDriver(target.protocol, publicPort(child), around.expected);
  await load.order({ kind: 'sign-in', connections: 16 });
  await load.order({ kind: 'fetch', requests: effort.warmupRequests, concurrency: 16 });
  // Connections come and go first, so that what the first hundred teach the heap is not counted.
  await load.order({ kind: 'open-idle', connections: 100 });
  const pids = processTree(child.pid);
  const restingBytes = await settledBytes(pids);
  await load.order({ kind: 'open-idle', connections: effort.connections });
  const connected = await settledBytes(pids);
  let perSessionBytes: number | undefined;
  if (target.guarded) {
    await load.order({ kind: 'sign-in-strangers', count: Math.ceil(effort.sessions / 4) });
    const few = await settledBytes(pids);
    await load.order({ kind: 'sign-in-strangers', count: effort.sessions });
    perSessionBytes = ((await settledBytes(pids)) - few) / effort.sessions;
  }
  await load.stop();
  await child.stop();
  return {
    name: target.name,
    restingBytes,
    perConnectionBytes: (connected - restingBytes) / effort.connections,
    perSessionBytes,
  };
}
