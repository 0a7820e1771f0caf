import type { ArchiveView } from '../backup/target-survey.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { RunView } from './backup-runs.ts';

/** What a running gateway says of its backups. */
export interface BackupStatus {
  /** Where they go; holds no credentials. */
  readonly target: string;
  readonly warnings: readonly string[];
  readonly last: {
    readonly archive: string;
    readonly bytes: number;
    readonly sha256: string;
    readonly created_at: string;
    readonly seconds: number;
  } | null;
  readonly next_at: string;
  /** Attempts that failed since the last good one, and why the last of them did. */
  readonly failures: number;
  readonly failure: string | null;
  /** What this process is making. */
  readonly running: { readonly kind: string; readonly phase: string; readonly bytes: number } | null;
  /** How far the journal is behind; nothing when nothing is known of it. */
  readonly journal_lag_ms: number | null;
  readonly last_drill_at: string | null;
  /** How long the last drill took to bring everything back. */
  readonly last_drill_seconds: number | null;
  /** Fingerprint of the key that archives are signed with. */
  readonly signer: string;
}

/** What the control socket can do about backups. All but the status throw GatewayError. */
export interface BackupOperations {
  /** `null` where the policies ask for none. */
  backupStatus(): Promise<BackupStatus | null>;
  /** @returns the run to ask for. */
  beginBackup(): Promise<string>;
  /** @param archive one; all of them when it is left out. */
  beginVerify(archive: string | undefined): string;
  backupRun(id: string): RunView | undefined;
  listArchives(): Promise<readonly ArchiveView[]>;
}

interface Answer {
  readonly status: number;
  readonly value: unknown;
}

/** `GET /v1/backup`. */
export async function showBackup(operations: BackupOperations): Promise<Answer> {
  const status = await operations.backupStatus();
  return status === null ? refuse(404, 'the policies in force ask for no backups') : ok(status);
}

/** `POST /v1/backup`: begins one and does not wait for it. */
export function beginBackup(operations: BackupOperations): Promise<Answer> {
  return explained(async () => ({ status: 202, value: { run: await operations.beginBackup() } }));
}

/** `POST /v1/backup/verify`: begins to read archives back. */
export function beginVerify(operations: BackupOperations, body: unknown): Promise<Answer> {
  const archive = typeof body === 'object' && body !== null && 'archive' in body ? body.archive : undefined;
  if (archive !== undefined && typeof archive !== 'string')
    return Promise.resolve(refuse(400, 'archive is the name of one'));
  return explained(() => ({ status: 202, value: { run: operations.beginVerify(archive) } }));
}

/** `GET /v1/backup/runs/{id}`. */
export function showRun(operations: BackupOperations, id: string): Answer {
  const run = operations.backupRun(id);
  return run === undefined ? refuse(404, 'no such run is known') : ok(run);
}

/** `GET /v1/backup/archives`. */
export function listArchives(operations: BackupOperations): Promise<Answer> {
  return explained(async () => ok(await operations.listArchives()));
}

/** Whoever may open the socket is the operator, who is told what is wrong and not only that something is. */
async function explained(work: () => Answer | Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const { code, message } = error;
    return { status: code === 'backup_failed' ? 409 : error.status, value: { error: message, code } };
  }
}

function ok(value: unknown): Answer {
  return { status: 200, value };
}

function refuse(status: number, error: string): Answer {
  return { status, value: { error } };
}
