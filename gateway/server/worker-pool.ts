import type { ChildProcess } from 'node:child_process';

import { GatewayError } from '../core/gateway-error.ts';
import type { Logger } from '../observability/logger.ts';
import { type CallHandlers, ProcessLink } from './process-link.ts';
import type { SupervisorCalls, WorkerCalls, WorkerReport, WorkerStart } from './worker-calls.ts';

/** A worker process as the supervisor sees it. */
export interface Worker {
  readonly pid: number;
  readonly link: ProcessLink<WorkerCalls, SupervisorCalls>;
  /** Whether it takes connections. */
  readonly isReady: boolean;
  /** What it last said of itself. */
  report: WorkerReport | undefined;
  /** Ends the process at once, so that another takes its place. */
  kill(): void;
}

/** What a pool is made of. */
export interface WorkerPoolSettings {
  readonly count: number;
  readonly logger: Logger;
  /** Starts the process of a worker, with a channel. */
  launch(): ChildProcess;
  /** What a worker that begins now begins with. */
  start(): WorkerStart;
  /** Called when a worker takes connections, before it counts as ready. */
  started(worker: Worker, start: WorkerStart): Promise<void>;
  /** Answers to what a worker asks. */
  calls(worker: () => Worker | undefined): CallHandlers<SupervisorCalls>;
  /** Called when a worker is gone, however that came. */
  lost(worker: Worker): void;
}

interface Slot {
  worker: (Worker & { isReady: boolean; readonly child: ChildProcess }) | undefined;
  /** Quick ends in a row. */
  failures: number;
  bornMs: number;
  /** Resolves when the present process is gone. */
  gone: Promise<void>;
}

/** How long a worker may take until it listens, in milliseconds. */
const START_MS = 30_000;
/** A worker that lived so long did not fail at its start. */
const STEADY_MS = 30_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** What a worker gets beyond its drain to close its files. */
const CLOSING_MS = 3000;

/**
 * Keeps a number of worker processes running: one that ends is replaced, at once if it had been steady, with growing
 * pauses if it fails again and again. The others never notice.
 */
export class WorkerPool {
  readonly #settings: WorkerPoolSettings;
  readonly #slots: Slot[];
  #isOpen = false;
  #isStopping = false;
  #restarts = 0;

  constructor(settings: WorkerPoolSettings) {
    this.#settings = settings;
    this.#slots = Array.from({ length: settings.count }, () => ({
      worker: undefined,
      failures: 0,
      bornMs: 0,
      gone: Promise.resolve(),
    }));
  }

  /**
   * Starts all workers.
   *
   * @throws GatewayError `internal` with the reason of the first that cannot start; none is left running then.
   */
  async open(): Promise<void> {
    try {
      await Promise.all(this.#slots.map((slot) => this.#begin(slot)));
      this.#isOpen = true;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** Workers whose process runs, also those that do not listen yet. */
  get running(): readonly Worker[] {
    return this.#slots.flatMap(({ worker }) => worker ?? []);
  }

  /** Workers that take connections. */
  get ready(): readonly Worker[] {
    return this.running.filter(({ isReady }) => isReady);
  }

  /** How many workers there should be. */
  get wanted(): number {
    return this.#slots.length;
  }

  /** How many ended without being asked to. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Lets all workers finish what they do, for so long; then ends what is left. */
  async stop(drainMs: number): Promise<void> {
    this.#isStopping = true;
    await Promise.all(
      this.#slots.map(async ({ worker, gone }) => {
        if (worker === undefined) return;
        worker.link.ask('drain', null, drainMs + CLOSING_MS).catch(() => undefined);
        const late = setTimeout(() => worker.child.kill('SIGKILL'), drainMs + CLOSING_MS);
        await gone;
        clearTimeout(late);
      }),
    );
  }

  async #begin(slot: Slot): Promise<void> {
    const settings = this.#settings;
    const child = settings.launch();
    const start = settings.start();
    slot.bornMs = performance.now();
    const link = new ProcessLink<WorkerCalls, SupervisorCalls>(
      child,
      settings.calls(() => slot.worker),
    );
    const worker: NonNullable<Slot['worker']> = {
      pid: child.pid ?? 0,
      link,
      isReady: false,
      report: undefined,
      kill: () => void child.kill('SIGKILL'),
      child,
    };
    slot.worker = worker;
    child.once('disconnect', () => {
      worker.isReady = false;
    });
    slot.gone = new Promise((resolve) => {
      const over = (why: string) => {
        if (slot.worker !== worker) return;
        slot.worker = undefined;
        resolve();
        this.#ended(slot, worker, why);
      };
      child.once('exit', (code, signal) => over(signal ?? `exit code ${code}`));
      child.once('error', (error) => over(error.message));
    });
    try {
      await link.ask('start', start, START_MS);
      await settings.started(worker, start);
      worker.isReady = true;
    } catch (error) {
      child.kill('SIGKILL');
      const reason = error instanceof Error ? error.message : String(error);
      throw new GatewayError('internal', `a worker could not start: ${reason}`, { cause: error });
    }
  }

  #ended(slot: Slot, worker: Worker, why: string): void {
    const { logger } = this.#settings;
    this.#settings.lost(worker);
    if (this.#isStopping || !this.#isOpen) return;
    this.#restarts += 1;
    const wasSteady = performance.now() - slot.bornMs >= STEADY_MS;
    slot.failures = wasSteady ? 0 : slot.failures + 1;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.max(0, slot.failures - 1), LONGEST_PAUSE_MS);
    logger.error('a worker ended; another takes its place', { worker: worker.pid, why, pause_ms: pauseMs });
    setTimeout(() => {
      if (this.#isStopping) return;
      this.#begin(slot).catch((error: unknown) => logger.error('a worker could not start', { error }));
    }, pauseMs);
  }
}
