import type { Child } from './children.ts';
import { LoadDriver } from './load-driver.ts';
import { cpuMicroseconds, processTree } from './process-meter.ts';
import type { Surroundings, Target } from './target.ts';
import { publicPort } from './target.ts';

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  readonly warmupRequests: number;
  readonly requests: number;
  /** HTTP/1 connections; on HTTP/2 a quarter of them, with four streams each. */
  readonly concurrency: number;
}

/** One target's figures. */
export interface CpuFigures {
  readonly name: string;
  readonly cipher: string;
  /** CPU microseconds per request, round by round. */
  readonly perRequest: readonly number[];
  /** Share of the time in which the target was computing, round by round; 1 means it was the bottleneck. */
  readonly busy: readonly number[];
  /** How often the persons' cookies changed. */
  readonly rotations: number;
}

/** A target that would not run, and why. */
export interface Failure {
  readonly name: string;
  readonly reason: string;
}

/** What the rounds brought. */
export interface CpuOutcome {
  readonly figures: readonly CpuFigures[];
  readonly failures: readonly Failure[];
}

interface Running {
  readonly target: Target;
  readonly child: Child;
  readonly pids: readonly number[];
  readonly load: LoadDriver;
  readonly perRequest: number[];
  readonly busy: number[];
  cipher: string;
  rotations: number;
}

async function start(target: Target, around: Surroundings, effort: Effort): Promise<Running> {
  const child = await target.start(around);
  const load = new LoadDriver(target.protocol, publicPort(child), around.expected);
  try {
    return await warmUp(target, child, load, effort);
  } catch (error) {
    await load.stop();
    await child.stop();
    throw error;
  }
}

async function warmUp(target: Target, child: Child, load: LoadDriver, effort: Effort): Promise<Running> {
  const connections = target.protocol === 'h2' ? Math.ceil(effort.concurrency / 4) : effort.concurrency;
  const key = target.issueKey?.();
  if (key === undefined) await load.order({ kind: 'sign-in', connections });
  else await load.order({ kind: 'bring-key', connections, key });
  if (target.guarded) await load.order({ kind: 'prove-guarded' });
  const warmup = { kind: 'fetch', requests: effort.warmupRequests, concurrency: effort.concurrency } as const;
  const { cipher } = await load.order(warmup);
  const pids = processTree(child.pid);
  return { target, child, pids, load, perRequest: [], busy: [], cipher, rotations: 0 };
}

async function measure(running: Running, effort: Effort): Promise<void> {
  const { load, pids } = running;
  const { concurrency, requests } = effort;
  // Connections to the upstream may have idled out while others were measured.
  await load.order({ kind: 'fetch', requests: Math.ceil(requests / 20), concurrency });
  const before = cpuMicroseconds(pids);
  const answer = await load.order({ kind: 'fetch', requests, concurrency });
  const used = cpuMicroseconds(pids) - before;
  running.perRequest.push(used / requests);
  running.busy.push(used / 1000 / answer.wallMs);
  running.rotations = answer.rotations;
}

/**
 * Runs all targets at once and measures them in turn, round by round, so that a machine that gets slower or faster
 * meanwhile does so for all of them. A target that does not start is left out and named among the failures.
 */
export async function cpuRounds(
  list: readonly Target[],
  around: Surroundings,
  effort: Effort,
  progress: (text: string) => void,
): Promise<CpuOutcome> {
  const all: Running[] = [];
  const failures: Failure[] = [];
  for (const target of list) {
    progress(`warming up ${target.name}`);
    try {
      all.push(await start(target, around, effort));
    } catch (error) {
      failures.push({ name: target.name, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  for (let round = 1; round <= effort.rounds; round += 1) {
    for (const running of all) {
      progress(`round ${round} of ${effort.rounds}: ${running.target.name}`);
      await measure(running, effort);
    }
  }
  for (const running of all) {
    await running.load.stop();
    await running.child.stop();
  }
  const figures = all.map(({ target, cipher, perRequest, busy, rotations }) => ({
    name: target.name,
    cipher,
    perRequest,
    busy,
    rotations,
  }));
  return { figures, failures };
}
