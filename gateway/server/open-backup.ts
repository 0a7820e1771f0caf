import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';

import { headsDirectory } from '../audit/trail-head.ts';
import { nodeName } from '../audit/writer-slot.ts';
import { BackupLease, createLeaseBox, type FinishedBackup, FLEET_RECORD } from '../backup/backup-lease.ts';
import { type ArchiveOrder, type BackupRun, BackupScheduler } from '../backup/backup-scheduler.ts';
import type { BackupProgress } from '../backup/backup-progress.ts';
import type { BackupTarget } from '../backup/backup-target.ts';
import { backupSignerKeys, createBackupSigner } from '../backup/backup-signer.ts';
import { openTarget } from '../backup/open-target.ts';
import { nextDueMs } from '../backup/schedule.ts';
import { type ArchiveView, surveyTarget } from '../backup/target-survey.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { signerFingerprint } from '../crypto/signing-key.ts';
import type { BackupPolicy } from '../policy/compile-backup.ts';
import type { Policy } from '../policy/policy.ts';
import { runBackupJob } from './backup-child.ts';
import { type BackupJournal, openBackupJournal } from './backup-journal.ts';
import { collectBackups, reportBackups } from './backup-report.ts';
import { BackupRuns } from './backup-runs.ts';
import { every } from './closers.ts';
import type { BackupOperations, BackupStatus } from './control-backup.ts';
import type { Foundation } from './foundation.ts';
import { TargetWatch } from './target-watch.ts';

/** What backups stand on. */
export interface BackupOptions {
  readonly foundation: Foundation;
  readonly policy: Policy;
  /** Where the policies in force are read from. */
  policies(): string;
  /** Starts a process for one job, with a channel. */
  launch(): ChildProcess;
}

const TICK_MS = 1000;
/** How often the target is asked for reports of drills, and whether somebody should look. */
const LOOK_MS = 300_000;
const COMPLAIN_MS = 60_000;
const JOURNAL_BEHIND =
  'the journal cannot be written; what changes waits in the store and is written when it can be';

/** Everything that a gateway does about backups: one object for the process that serves, or for the supervisor. */
export class Backups {
  readonly #options: BackupOptions;
  readonly #fleet: BackupLease;
  readonly #scheduler: BackupScheduler;
  readonly #runs = new BackupRuns();
  readonly #node: string;
  readonly #signers: readonly string[];
  readonly #verifying = new AbortController();
  #queue: Promise<unknown> = Promise.resolve();
  readonly #watch: TargetWatch;
  readonly #stops: (() => void)[] = [];
  #policy: Policy;
  #target: BackupTarget | undefined;
  #journal: BackupJournal | undefined;
  readonly #complainedMs = new Map<string, number>();

  constructor(options: BackupOptions) {
    const { foundation, policy } = options;
    const { clock, data, keyring, records, registry, metrics } = foundation;
    this.#options = options;
    this.#policy = policy;
    this.#node = nodeName(headsDirectory(data));
    this.#signers = backupSignerKeys(keyring);
    const box = createLeaseBox(keyring);
    const lease = (id: string) => new BackupLease({ records, box, id, name: this.#node, clock });
    this.#fleet = lease(FLEET_RECORD);
    this.#scheduler = new BackupScheduler({
      fleet: this.#fleet,
      node: policy.store.kind === 'embedded' ? undefined : lease(`${FLEET_RECORD}-${this.#node}`),
      clock,
      observer: reportBackups(foundation),
      make: (order) => this.#make(order),
    });
    this.#watch = new TargetWatch({
      foundation,
      signers: this.#signers,
      facts: () => this.#fleet.read(),
      complain: (error) => this.#complain(error),
    });
    registry.onCollect(async () => {
      const facts = this.#target && (await this.#fleet.read().catch(() => undefined));
      const { drill, overwritten } = this.#watch;
      const measures = this.#target && { facts, drill, overwritten, journalLagMs: this.#journal?.lagMs };
      collectBackups(metrics, clock, measures);
    });
  }

  /** What the control socket can do. */
  get operations(): BackupOperations {
    return {
      backupStatus: () => this.#status(),
      beginBackup: () => this.#beginBackup(),
      beginVerify: (archive) => this.#beginVerify(archive),
      backupRun: (id) => this.#runs.view(id),
      listArchives: () => this.#listArchives(),
    };
  }

  /** Begins to look at the clock. */
  start(): void {
    this.#follow(this.#policy.backup);
    this.#stops.push(
      every(TICK_MS, () => this.#scheduler.tick().catch((error: unknown) => this.#complain(error))),
      every(LOOK_MS, () => this.#watch.look()),
    );
  }

  /** Follows a policy that was reloaded. */
  configure(policy: Policy): void {
    const before = this.#policy.backup;
    this.#policy = policy;
    if (JSON.stringify(before) !== JSON.stringify(policy.backup)) this.#follow(policy.backup);
  }

  /** Gives up what is under way; nothing unfinished stays at the target. */
  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0)) stop();
    this.#verifying.abort();
    await this.#journal?.close();
    await this.#scheduler.stop();
  }

  async #status(): Promise<BackupStatus | null> {
    const { backup } = this.#policy;
    if (backup === undefined) return null;
    const facts = await this.#fleet.read();
    const { last, failures, failure } = facts;
    const run = this.#scheduler.run;
    const { warnings, drill } = this.#watch;
    return {
      target: this.#target?.where ?? describePlace(backup),
      warnings,
      last:
        last === undefined
          ? null
          : {
              archive: last.archive,
              bytes: last.bytes,
              sha256: last.sha256,
              created_at: timeText(last.createdMs),
              seconds: last.seconds,
            },
      next_at: timeText(nextDueMs(backup, facts, this.#nowMs())),
      failures,
      failure: failure ?? null,
      running: run === undefined ? null : { kind: run.kind, ...run.progress },
      journal_lag_ms: this.#journal?.lagMs ?? null,
      last_drill_at: drill === undefined ? null : timeText(drill.at_ms),
      last_drill_seconds: drill === undefined ? null : drill.took_ms / 1000,
      signer: signerFingerprint(createBackupSigner(this.#options.foundation.keyring).publicKey),
    };
  }

  async #beginBackup(): Promise<string> {
    const isFree = this.#scheduler.run === undefined;
    let run: BackupRun | undefined;
    const begun = this.#queue.then(() => this.#scheduler.beginNext());
    this.#queue = begun.catch(() => undefined);
    const ended = begun.then(async (made) => {
      run = made;
      const { archive, bytes, sha256 } = await made.ended;
      return { archive, bytes, sha256 };
    });
    const id = this.#runs.add(ended, () => run?.progress ?? { phase: 'snapshot', bytes: 0 });
    if (isFree) await begun;
    return id;
  }

  #beginVerify(archive: string | undefined): string {
    const backup = this.#asked();
    const { data } = this.#options.foundation;
    let progress: BackupProgress = { phase: 'reading back', bytes: 0 };
    const ended = runBackupJob(
      () => this.#options.launch(),
      { job: 'verify', data, backup, signers: this.#signers, archive },
      {
        signal: this.#verifying.signal,
        confirm: () => Promise.resolve(true),
        onProgress: (made) => (progress = made),
      },
    );
    void ended.then(() => this.#watch.look()).catch(() => undefined);
    return this.#runs.add(ended, () => progress);
  }

  async #listArchives(): Promise<readonly ArchiveView[]> {
    const { archives, overwritten } = await surveyTarget(this.#openTarget(), this.#signers);
    this.#watch.take(overwritten);
    return archives;
  }

  #asked(): BackupPolicy {
    const { backup } = this.#policy;
    if (backup !== undefined) return backup;
    throw new GatewayError('backup_failed', 'the policies in force ask for no backups');
  }

  #follow(backup: BackupPolicy | undefined): void {
    const { logger } = this.#options.foundation;
    const wasOn = this.#target !== undefined;
    this.#target = undefined;
    void this.#journal?.close();
    this.#journal = undefined;
    this.#scheduler.configure(backup);
    if (backup === undefined) {
      this.#watch.follow(undefined, undefined);
      if (wasOn) logger.warn('no backups are made any more: the policies ask for none');
      return;
    }
    try {
      this.#target = this.#openTarget();
      this.#journal = openBackupJournal(this.#options.foundation, backup, this.#target, {
        isAlone: this.#policy.store.kind === 'embedded',
        complain: (error) => this.#complain(error, JOURNAL_BEHIND),
      });
    } catch (error) {
      this.#complain(error);
    }
    logger.info('backups are made', { to: this.#target?.where, node: this.#node });
    this.#watch.follow(this.#target, backup);
    void this.#watch.look();
  }

  #openTarget(): BackupTarget {
    const { clock, data, environment } = this.#options.foundation;
    return openTarget(this.#asked().to, { clock, environment, dataDirectory: data });
  }

  async #make({ kind, ...control }: ArchiveOrder): Promise<FinishedBackup> {
    const { data, version, logger } = this.#options.foundation;
    const { auditDirectory, masterKey, store } = this.#policy;
    const answer = await runBackupJob(
      () => this.#options.launch(),
      {
        job: 'archive',
        kind,
        data,
        auditDirectory: auditDirectory ?? join(data, 'audit'),
        policies: this.#options.policies(),
        masterKey,
        store,
        backup: this.#asked(),
        version,
        node: this.#node,
        journal: (await this.#journal?.position(control.signal)) ?? { seq: 0, hash: '' },
      },
      control,
    );
    if (answer.job !== 'archive')
      throw new GatewayError('backup_failed', 'the backup process did other work');
    for (const notice of answer.notices) logger.warn(notice);
    if (answer.overwritten !== undefined) this.#watch.take(answer.overwritten, true);
    return answer.backup;
  }

  #complain(error: unknown, says = 'backups cannot be looked after'): void {
    const nowMs = this.#nowMs();
    if (nowMs - (this.#complainedMs.get(says) ?? Number.NEGATIVE_INFINITY) < COMPLAIN_MS) return;
    this.#complainedMs.set(says, nowMs);
    this.#options.foundation.logger.error(says, { error });
  }

  #nowMs(): number {
    return this.#options.foundation.clock.now();
  }
}

function describePlace({ to }: BackupPolicy): string {
  return to.kind === 'dir' ? to.dir : `${to.endpoint}/${to.bucket}`;
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
