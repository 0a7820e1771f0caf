import type { ArchiveKeys, ArchiveSource } from '../backup/restore-archive.ts';
import type { BackupTarget } from '../backup/backup-target.ts';
import type { Environment } from '../config/environment.ts';
import type { Clock } from '../core/clock.ts';

/** What a restore tells of itself while it works. */
export type RestoreEvent =
  | { readonly event: 'step'; readonly step: string; readonly says: string }
  | {
      readonly event: 'progress';
      readonly step: string;
      readonly bytes: number;
      readonly of: number | undefined;
    }
  | { readonly event: 'warning'; readonly step: string; readonly says: string };

/** What is to be restored, from where and to where. */
export interface RestoreRequest {
  readonly source: ArchiveSource & {
    readonly bytes: number | undefined;
    /** What somebody should look at where it lies. */
    readonly warnings: readonly string[];
  };
  readonly keys: ArchiveKeys;
  /** Where the journal is; `undefined` where there is none to be had. */
  readonly journal: BackupTarget | undefined;
  readonly data: string;
  /** The policies; those of the archive are put there when there are none. */
  readonly policies: string;
  /** When the gateway was lost; `undefined` where nobody has said so. What the journal does not reach is not known. */
  readonly lostAtMs: number | undefined;
  /** Whether an included source is left out. */
  skips(name: string): boolean;
  readonly environment: Environment;
  readonly clock: Clock;
  readonly version: string;
  /** Ends the restore, as long as nothing was put in its place. */
  readonly signal?: AbortSignal;
  report(event: RestoreEvent): void;
  /** Asks whoever sits there. @returns `undefined` when nobody does. */
  agree(about: 'signer' | 'loss', question: string): Promise<boolean | undefined>;
}

/** Tells of a step. */
export function step({ report }: Pick<RestoreRequest, 'report'>, name: string, says: string): void {
  report({ event: 'step', step: name, says });
}
