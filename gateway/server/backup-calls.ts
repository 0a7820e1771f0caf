import type { SecretReference } from '../config/secret-reference.ts';
import type { JournalPosition } from '../backup/archive-format.ts';
import type { FinishedBackup } from '../backup/backup-lease.ts';
import type { ArchiveKind, BackupProgress } from '../backup/backup-progress.ts';
import type { OverwrittenName } from '../backup/overwritten.ts';
import type { VerifiedArchive } from '../backup/verify-archives.ts';
import type { BackupPolicy } from '../policy/compile-backup.ts';
import type { StoreChoice } from '../store/open-store.ts';

/** An archive to be made. */
interface ArchiveJob {
  readonly job: 'archive';
  readonly kind: ArchiveKind;
  readonly data: string;
  readonly auditDirectory: string;
  /** The policies in force, as they are read from. */
  readonly policies: string;
  readonly masterKey: SecretReference | undefined;
  readonly store: StoreChoice;
  readonly backup: BackupPolicy;
  readonly version: string;
  readonly node: string;
  /** Where the journal stands before the snapshot begins. */
  readonly journal: JournalPosition;
}

/** Archives to be read back. */
interface VerifyJob {
  readonly job: 'verify';
  readonly data: string;
  readonly backup: BackupPolicy;
  /** Public keys of signers that are this gateway's. */
  readonly signers: readonly string[];
  /** One archive; all of them when it is left out. */
  readonly archive: string | undefined;
}

/** What a backup process is asked for. */
export type BackupJob = ArchiveJob | VerifyJob;

/** What it answers with. */
export type BackupAnswer =
  | {
      readonly job: 'archive';
      readonly backup: FinishedBackup;
      readonly notices: readonly string[];
      /** What somebody wrote over or deleted at the target; nothing when it could not be looked at. */
      readonly overwritten: readonly OverwrittenName[] | undefined;
    }
  | { readonly job: 'verify'; readonly archives: readonly VerifiedArchive[] }
  | { readonly job: 'failed'; readonly code: string; readonly message: string };

/** What the gateway asks of a backup process. */
export type BackupProcessCalls = {
  run: { ask: BackupJob; answer: BackupAnswer };
  /** Ends what is under way and tidies up. */
  end: { ask: true; answer: true };
};

/** What a backup process asks of the gateway. */
export type BackupOwnerCalls = {
  progress: { ask: BackupProgress; answer: true };
  /** Whether the archive may be named: the lease is still this gateway's. */
  confirm: { ask: true; answer: boolean };
};
