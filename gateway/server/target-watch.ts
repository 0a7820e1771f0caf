import { ARCHIVE_PREFIX } from '../backup/archive-format.ts';
import type { BackupFacts } from '../backup/backup-lease.ts';
import type { BackupTarget } from '../backup/backup-target.ts';
import type { DrillReport } from '../backup/drill-report.ts';
import { JOURNAL_FOLDER } from '../backup/journal-segment.ts';
import {
  type OverwrittenName,
  describeOverwritten,
  findOverwritten,
  labelOf,
} from '../backup/overwritten.ts';
import { isOverdue } from '../backup/schedule.ts';
import { DRILL_FOLDER, readLastDrill } from '../backup/target-survey.ts';
import type { BackupPolicy } from '../policy/compile-backup.ts';
import type { Foundation } from './foundation.ts';

/** What a watch works with. */
interface TargetWatchParts {
  readonly foundation: Pick<Foundation, 'audit' | 'clock' | 'logger'>;
  /** Public keys of this gateway's backups. */
  readonly signers: readonly string[];
  facts(): Promise<BackupFacts>;
  /** Told when the target cannot be looked at. */
  complain(error: unknown): void;
}

/** A warning that stays true is said again. */
const REMIND_MS = 6 * 3_600_000;

/** Looks at the target between backups: for its warnings, for drills, and for what somebody wrote over or deleted. */
export class TargetWatch {
  readonly #parts: TargetWatchParts;
  readonly #saidMs = new Map<string, number>();
  #followed: { readonly target: BackupTarget; readonly backup: BackupPolicy } | undefined;
  #warnings: readonly string[] = [];
  #drill: DrillReport | undefined;
  #overwritten: readonly OverwrittenName[] = [];

  constructor(parts: TargetWatchParts) {
    this.#parts = parts;
  }

  /** What an operator should change, or look into. */
  get warnings(): readonly string[] {
    const [first, ...more] = this.#overwritten;
    if (first === undefined) return this.#warnings;
    const rest = more.length === 0 ? '' : `; and ${more.length} names more`;
    return [...this.#warnings, `${describeOverwritten(first)}${rest}`];
  }

  /** The last drill that a key of ours has signed. */
  get drill(): DrillReport | undefined {
    return this.#drill;
  }

  /** How many names were written over or deleted, as far as they were looked at. */
  get overwritten(): number {
    return this.#overwritten.length;
  }

  /** Follows another target, or none. */
  follow(target: BackupTarget | undefined, backup: BackupPolicy | undefined): void {
    this.#followed = target === undefined || backup === undefined ? undefined : { target, backup };
    this.#warnings = [];
    this.#drill = undefined;
    this.#overwritten = [];
  }

  /** Asks the target, and says what somebody should look at. Never rejects. */
  async look(): Promise<void> {
    const followed = this.#followed;
    if (followed === undefined) return;
    const { target, backup } = followed;
    const { signers, foundation } = this.#parts;
    try {
      this.#warnings = await target.warnings();
      for (const warning of this.#warnings) this.#remind(warning);
      this.take(await findOverwritten(target, [ARCHIVE_PREFIX, DRILL_FOLDER]));
      this.#drill = await readLastDrill(target, signers);
      const known = await this.#parts.facts();
      const nowMs = foundation.clock.now();
      if (isOverdue(backup, known, nowMs))
        this.#remind('no backup has been made for one and a half periods; see zasov status');
      if (nowMs - (this.#drill?.at_ms ?? known.sinceMs) > backup.drillEveryMs)
        this.#remind(
          'no backup was proved by restoring it within backup.drill_every; run zasov backup drill',
        );
    } catch (error) {
      this.#parts.complain(error);
    }
  }

  /**
   * Takes what was found written over or deleted, and puts what is new of it on record.
   *
   * @param isWhole whether the journal was looked at as well; otherwise what is known of it stays.
   */
  take(found: readonly OverwrittenName[], isWhole = false): void {
    const known = new Set(this.#overwritten.map(stateOf));
    const fresh = found.filter((each) => !known.has(stateOf(each)));
    const kept = isWhole ? [] : this.#overwritten.filter(({ name }) => name.startsWith(JOURNAL_FOLDER));
    this.#overwritten = [...found, ...kept];
    const [first] = fresh;
    if (first === undefined) return;
    const { audit, logger } = this.#parts.foundation;
    const { written, deleted } = first;
    const facts = { names: fresh.length, first: labelOf(first.name), written, deleted };
    logger.warn(
      'somebody wrote over backups or deleted them at the target; what was there first counts',
      facts,
    );
    audit.note({ event: 'backup.overwritten', facts });
  }

  #remind(warning: string): void {
    const { clock, logger } = this.#parts.foundation;
    const nowMs = clock.now();
    if (nowMs - (this.#saidMs.get(warning) ?? Number.NEGATIVE_INFINITY) < REMIND_MS) return;
    this.#saidMs.set(warning, nowMs);
    logger.warn(warning);
  }
}

function stateOf({ name, written, deleted }: OverwrittenName): string {
  return `${name} ${written} ${deleted}`;
}
