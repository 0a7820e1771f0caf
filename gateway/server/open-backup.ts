import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';

import { headsDirectory } from '../audit/trail-head.ts';
import { nodeName } from '../audit/writer-slot.ts';
import { BackupLease, type FinishedBackup } from '../backup/backup-lease.ts';
import { type ArchiveOrder, type BackupRun, BackupScheduler } from '../backup/backup-scheduler.ts';
import type { BackupProgress } from '../backup/backup-progress.ts';
import type { BackupTarget } from '../backup/backup-target.ts';
import { backupSignerKeys, createBackupSigner } from '../backup/backup-signer.ts';
import type { DrillReport } from '../backup/drill-report.ts';
import { openTarget } from '../backup/open-target.ts';
import { isOverdue, nextDueMs } from '../backup/schedule.ts';
import { readLastDrill, surveyTarget } from '../backup/target-survey.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';
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
/** A warning that stays true is said again. */
const REMIND_MS = 6 * 3_600_000;
const COMPLAIN_MS = 60_000;

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
  readonly #saidMs = new Map<string, number>();
  readonly #stops: (() => void)[] = [];
  #policy: Policy;
  #target: BackupTarget | undefined;
  #warnings: readonly string[] = [];
  #drill: DrillReport | undefined;
  #journal: BackupJournal | undefined;

  constructor(options: BackupOptions) {
    const { foundation, policy } = options;
    const { clock, data, keyring, records, registry, metrics } = foundation;
    this.#options = options;
    this.#policy = policy;
    this.#node = nodeName(headsDirectory(data));
    this.#signers = backupSignerKeys(keyring);
    const box = createSealedBox(keyring, 'backup-lease');
    const lease = (id: string) => new BackupLease({ records, box, id, name: this.#node, clock });
    this.#fleet = lease('backup');
    this.#scheduler = new BackupScheduler({
      fleet: this.#fleet,
      node: policy.store.kind === 'embedded' ? undefined : lease(`backup-${this.#node}`),
      clock,
      observer: reportBackups(foundation),
      make: (order) => this.#make(order),
    });
    registry.onCollect(async () => {
      const facts = this.#target && (await this.#fleet.read().catch(() => undefined));
      const measures = this.#target && { facts, drill: this.#drill, journalLagMs: this.#journal?.lagMs };
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
      listArchives: async () => (await surveyTarget(this.#openTarget(), this.#signers)).archives,
    };
  }

  /** Begins to look at the clock. */
  start(): void {
    this.#follow(this.#policy.backup);
    this.#stops.push(
      every(TICK_MS, () => this.#scheduler.tick().catch((error: unknown) => this.#complain(error))),
      every(LOOK_MS, () => this.#look()),
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
    return {
      target: this.#target?.where ?? describePlace(backup),
      warnings: this.#warnings,
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
      last_drill_at: this.#drill === undefined ? null : timeText(this.#drill.at_ms),
      last_drill_seconds: this.#drill === undefined ? null : this.#drill.took_ms / 1000,
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
    return this.#runs.add(ended, () => progress);
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
    this.#warnings = [];
    this.#drill = undefined;
    this.#scheduler.configure(backup);
    if (backup === undefined) {
      if (wasOn) logger.warn('no backups are made any more: the policies ask for none');
      return;
    }
    try {
      this.#target = this.#openTarget();
      this.#journal = openBackupJournal(this.#options.foundation, backup, this.#target, {
        isAlone: this.#policy.store.kind === 'embedded',
        complain: (error) => this.#complain(error),
      });
    } catch (error) {
      this.#complain(error);
    }
    logger.info('backups are made', { to: this.#target?.where, node: this.#node });
    void this.#look();
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
        journal: (await this.#journal?.position()) ?? { seq: 0, hash: '' },
      },
      control,
    );
    if (answer.job !== 'archive')
      throw new GatewayError('backup_failed', 'the backup process did other work');
    for (const notice of answer.notices) logger.warn(notice);
    return answer.backup;
  }

  /** Asks the target for its warnings and for drills, and says what somebody should look at. Never rejects. */
  async #look(): Promise<void> {
    const target = this.#target;
    const { backup } = this.#policy;
    if (target === undefined || backup === undefined) return;
    try {
      this.#warnings = await target.warnings();
      for (const warning of this.#warnings) this.#remind(warning);
      this.#drill = await readLastDrill(target, this.#signers);
      const facts = await this.#fleet.read();
      const nowMs = this.#nowMs();
      if (isOverdue(backup, facts, nowMs))
        this.#remind('no backup has been made for one and a half periods; see zasov status');
      if (nowMs - (this.#drill?.at_ms ?? facts.sinceMs) > backup.drillEveryMs)
        this.#remind(
          'no backup was proved by restoring it within backup.drill_every; run zasov backup drill',
        );
    } catch (error) {
      this.#complain(error);
    }
  }

  #remind(warning: string): void {
    const nowMs = this.#nowMs();
    if (nowMs - (this.#saidMs.get(warning) ?? Number.NEGATIVE_INFINITY) < REMIND_MS) return;
    this.#saidMs.set(warning, nowMs);
    this.#options.foundation.logger.warn(warning);
  }

  #complain(error: unknown): void {
    const nowMs = this.#nowMs();
    if (nowMs - (this.#saidMs.get('') ?? Number.NEGATIVE_INFINITY) < COMPLAIN_MS) return;
    this.#saidMs.set('', nowMs);
    this.#options.foundation.logger.error('backups cannot be looked after', { error });
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
