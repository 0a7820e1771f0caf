/** What a backup is at. */
type BackupPhase = 'snapshot' | 'writing' | 'reading back' | 'tidying up';

/** How far a backup has come. */
export interface BackupProgress {
  readonly phase: BackupPhase;
  /** Bytes written or read back in this phase. */
  readonly bytes: number;
  /** How many it will be, where that is known. */
  readonly totalBytes?: number | undefined;
}

/** What an archive holds: the state of the fleet, or what only this node has. */
export type ArchiveKind = 'fleet' | 'node';
