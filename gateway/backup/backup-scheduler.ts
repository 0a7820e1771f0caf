import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { type BackupFacts, type BackupLease, type FinishedBackup, LEASE_MS } from './backup-lease.ts';
import type { ArchiveKind, BackupProgress } from './backup-progress.ts';
import { type BackupRhythm, nextDueMs } from './schedule.ts';

/** What whoever makes an archive is given. */
export interface ArchiveOrder {
  readonly kind: ArchiveKind;
  /** Ends the work; nothing unfinished stays behind. */
  readonly signal: AbortSignal;
  /** Asked before the archive is named: `false` when somebody else makes it meanwhile. */
  confirm(): Promise<boolean>;
  onProgress(progress: BackupProgress): void;
}

/** Told of what becomes of backups. */
export interface BackupObserver {
  /** @param cutOff who had begun it and was not heard of any more; nothing when nobody had. */
  started(kind: ArchiveKind, cutOff: string | undefined): void;
  done(kind: ArchiveKind, backup: FinishedBackup): void;
  failed(kind: ArchiveKind, error: unknown, failures: number): void;
  /** The gateway stops, or no backups are asked for any more. */
  gaveUp(kind: ArchiveKind): void;
}

/** One backup that was begun here. */
export interface BackupRun {
  readonly kind: ArchiveKind;
  readonly startedMs: number;
  readonly progress: BackupProgress;
  /** Resolves when it is at the target; rejects as whoever made it. */
  readonly ended: Promise<FinishedBackup>;
}

/** What a scheduler works with. */
export interface BackupSchedulerParts {
  readonly fleet: BackupLease;
  /** Of this node alone, where several share a store: what lies on its own disk goes into an archive of its own. */
  readonly node: BackupLease | undefined;
  readonly clock: Clock;
  readonly observer: BackupObserver;
  make(order: ArchiveOrder): Promise<FinishedBackup>;
}

interface ActiveRun extends BackupRun {
  progress: BackupProgress;
  renewedMs: number;
  readonly lease: BackupLease;
  readonly ending: AbortController;
}

const LOOK_MS = 5000;
/** Before a backup that the store did not let begin is tried again. */
const REFUSED_PAUSE_MS = 60_000;
const LOST = 'another node has taken this backup over, because this one was not heard of for too long';

/**
 * Begins backups when they are due, one at a time in this process and one for the whole fleet. Has no timer of its
 * own: `tick` is called about once a second.
 */
export class BackupScheduler {
  readonly #parts: BackupSchedulerParts;
  #rhythm: BackupRhythm | undefined;
  #run: ActiveRun | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #refusedMs = Number.NEGATIVE_INFINITY;
  #busy: Promise<void> | undefined;
  #isStopped = false;

  constructor(parts: BackupSchedulerParts) {
    this.#parts = parts;
  }

  /** The backup that this process is making. */
  get run(): BackupRun | undefined {
    return this.#run;
  }

  /** Follows a policy; without a rhythm nothing is begun any more, and what is under way is given up. */
  configure(rhythm: BackupRhythm | undefined): void {
    this.#rhythm = rhythm;
    this.#lookedMs = Number.NEGATIVE_INFINITY;
    if (rhythm === undefined) this.#run?.ending.abort();
  }

  /** Looks whether something is due. @throws GatewayError `store_unavailable`. */
  tick(): Promise<void> {
    this.#busy ??= this.#tick().finally(() => (this.#busy = undefined));
    return this.#busy;
  }

  /**
   * Begins a backup now, whether one is due or not.
   *
   * @throws GatewayError `backup_failed` when one is under way already, here or on another node, or when the policies
   *   ask for none; `store_unavailable`.
   */
  async begin(kind: ArchiveKind = 'fleet'): Promise<BackupRun> {
    if (this.#rhythm === undefined || this.#isStopped)
      throw new GatewayError('backup_failed', 'the policies in force ask for no backups');
    const lease = kind === 'fleet' ? this.#parts.fleet : this.#parts.node;
    const cutOff = await holderOf(lease);
    const isTaken = lease === undefined || this.#run !== undefined || !(await this.#take(kind, lease));
    if (!isTaken) return this.#start(kind, lease, cutOff);
    const holder = (await this.#parts.fleet.read()).holder?.name ?? 'this node';
    throw new GatewayError('backup_failed', `a backup is under way already, on ${holder}`);
  }

  /**
   * Begins a backup once the one that is under way here, if any, is over: that one lacks what has changed since it began.
   *
   * @throws GatewayError as {@link begin}.
   */
  async beginNext(): Promise<BackupRun> {
    for (;;) {
      await this.#run?.ended.catch(() => undefined);
      try {
        return await this.begin();
      } catch (error) {
        if (this.#run === undefined || this.#isStopped) throw error;
      }
    }
  }

  /** Gives up what is under way and begins nothing more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const run = this.#run;
    run?.ending.abort();
    await run?.ended.catch(() => undefined);
  }

  async #tick(): Promise<void> {
    const { clock } = this.#parts;
    const nowMs = clock.now();
    if (this.#run !== undefined) await this.#renew(this.#run, nowMs);
    const rhythm = this.#rhythm;
    // A clock that was set back does not keep anybody waiting.
    const isRecent = (timeMs: number, spanMs: number) => nowMs >= timeMs && nowMs - timeMs < spanMs;
    const isLooked = isRecent(this.#lookedMs, LOOK_MS) || isRecent(this.#refusedMs, REFUSED_PAUSE_MS);
    if (rhythm === undefined || this.#run !== undefined || this.#isStopped || isLooked) return;
    this.#lookedMs = nowMs;
    await this.#look(rhythm, nowMs);
  }

  async #look(rhythm: BackupRhythm, nowMs: number): Promise<void> {
    const { fleet, node } = this.#parts;
    const facts = await fleet.read();
    const isTaken = fleet.isTaken(facts);
    if (!isTaken && isDue(rhythm, facts, nowMs)) {
      if (await this.#take('fleet', fleet)) this.#start('fleet', fleet, facts.holder?.name);
      return;
    }
    // A fleet archive that failed here will be tried again and holds what is this node's as well.
    if (node === undefined || (facts.failures > 0 && !isTaken)) return;
    const own = await node.read();
    if (isDue(rhythm, own, nowMs) && (await this.#take('node', node)))
      this.#start('node', node, own.holder?.name);
  }

  /** A store that can be read and takes nothing, on a disk that is full, fails the backup before it begins. */
  async #take(kind: ArchiveKind, lease: BackupLease): Promise<boolean> {
    try {
      return await lease.take();
    } catch (error) {
      this.#refusedMs = this.#parts.clock.now();
      this.#parts.observer.failed(kind, error, 0);
      throw error;
    }
  }

  /** A store that is away for a while ends nothing: who holds the lease is asked again before the archive is named. */
  async #renew(run: ActiveRun, nowMs: number): Promise<void> {
    if (nowMs >= run.renewedMs && nowMs - run.renewedMs < LEASE_MS / 3) return;
    run.renewedMs = nowMs;
    if (!(await run.lease.renew())) run.ending.abort(new GatewayError('backup_failed', LOST));
  }

  #start(kind: ArchiveKind, lease: BackupLease, cutOff: string | undefined): BackupRun {
    const { clock, observer } = this.#parts;
    const nowMs = clock.now();
    const ending = new AbortController();
    observer.started(kind, cutOff);
    const making = this.#parts.make({
      kind,
      signal: ending.signal,
      confirm: () => lease.renew(),
      onProgress: (progress) => (run.progress = progress),
    });
    const ended = making.then(
      (backup) => this.#done(run, backup),
      (error: unknown) => this.#failed(run, error),
    );
    const run: ActiveRun = {
      kind,
      startedMs: nowMs,
      progress: { phase: 'snapshot', bytes: 0 },
      ended,
      renewedMs: nowMs,
      lease,
      ending,
    };
    // Whoever asked for it may be gone; the observer is told anyway.
    ended.catch(() => undefined);
    this.#run = run;
    return run;
  }

  async #done(run: ActiveRun, backup: FinishedBackup): Promise<FinishedBackup> {
    const { node, observer } = this.#parts;
    const isOurs = await this.#finish(run, { ended: 'done', backup });
    if (!isOurs) {
      const error = new GatewayError('backup_failed', LOST);
      observer.failed(run.kind, error, 0);
      throw error;
    }
    // The archive of the fleet holds what is this node's as well.
    if (run.kind === 'fleet' && node !== undefined && (await node.take()))
      await node.finish({ ended: 'done', backup });
    observer.done(run.kind, backup);
    return backup;
  }

  async #failed(run: ActiveRun, error: unknown): Promise<never> {
    const { observer } = this.#parts;
    const { signal } = run.ending;
    const isLost = signal.aborted && signal.reason instanceof GatewayError;
    if (signal.aborted && !isLost) {
      await this.#finish(run, { ended: 'given_up' });
      observer.gaveUp(run.kind);
      throw new GatewayError('backup_failed', 'the backup was given up, because the gateway stops');
    }
    const told: unknown = isLost ? signal.reason : error;
    const failure = told instanceof Error ? told.message : String(told);
    await this.#finish(run, { ended: 'failed', failure });
    const failures = await run.lease.read().then(
      (facts) => facts.failures,
      () => 0,
    );
    observer.failed(run.kind, told, failures);
    throw told;
  }

  /** Puts the end on record. A store that is away then loses the record, not the archive: the period is made again. */
  async #finish(run: ActiveRun, outcome: Parameters<BackupLease['finish']>[0]): Promise<boolean> {
    try {
      return await run.lease.finish(outcome);
    } catch {
      return outcome.ended === 'done';
    } finally {
      if (this.#run === run) this.#run = undefined;
      this.#lookedMs = Number.NEGATIVE_INFINITY;
    }
  }
}

async function holderOf(lease: BackupLease | undefined): Promise<string | undefined> {
  return (await lease?.read())?.holder?.name;
}

function isDue(rhythm: BackupRhythm, facts: BackupFacts, nowMs: number): boolean {
  return nextDueMs(rhythm, facts, nowMs) <= nowMs;
}
