/** How often there is a backup. */
export interface BackupRhythm {
  readonly everyMs: number;
  /** Time after midnight UTC that all of them are counted from; `undefined` counts from the last one. */
  readonly atMs: number | undefined;
}

/** What is known of the backups until now; all times are Unix time in milliseconds. */
export interface BackupHistory {
  /** When backups were first asked for. */
  readonly sinceMs: number;
  /** When the snapshot of the last good one was taken. */
  readonly lastSuccessMs: number | undefined;
  readonly lastAttemptMs: number | undefined;
  /** Attempts that failed since the last good one. */
  readonly failures: number;
}

const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** So many periods without a backup are worth a warning. */
const OVERDUE_PERIODS = 1.5;

/**
 * When the next backup is due: in the past when one was missed, so that it is caught up with at once, and only once
 * however many were missed. After a failure the pause grows from a minute to an hour and never beyond a period.
 *
 * A clock that was wrong may have left times of the future behind; those beyond a period are not believed, so that
 * nothing can put the next backup off for longer than two.
 */
export function nextDueMs(rhythm: BackupRhythm, history: BackupHistory, nowMs: number): number {
  const { everyMs } = rhythm;
  const { lastSuccessMs, lastAttemptMs, failures } = history;
  const slotMs = slotAfter(rhythm, believed(lastSuccessMs, nowMs + everyMs), history.sinceMs, nowMs);
  if (failures === 0) return slotMs;
  const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 16), LONGEST_PAUSE_MS, everyMs);
  const attemptMs = believed(lastAttemptMs, nowMs + pauseMs);
  return attemptMs === undefined ? slotMs : Math.max(slotMs, attemptMs + pauseMs);
}

/** Whether so much time has gone by without a good backup that somebody should look. */
export function isOverdue({ everyMs }: BackupRhythm, history: BackupHistory, nowMs: number): boolean {
  return nowMs - (history.lastSuccessMs ?? history.sinceMs) > OVERDUE_PERIODS * everyMs;
}

function slotAfter(
  { everyMs, atMs }: BackupRhythm,
  lastSuccessMs: number | undefined,
  sinceMs: number,
  nowMs: number,
): number {
  const fromMs = lastSuccessMs ?? Math.min(sinceMs, nowMs);
  if (atMs !== undefined) return (Math.floor((fromMs - atMs) / everyMs) + 1) * everyMs + atMs;
  return lastSuccessMs === undefined ? fromMs : fromMs + everyMs;
}

function believed(timeMs: number | undefined, latestMs: number): number | undefined {
  return timeMs !== undefined && timeMs <= latestMs ? timeMs : undefined;
}
