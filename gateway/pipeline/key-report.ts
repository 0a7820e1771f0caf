import type { KeyObserver, KeyState } from '../api-key/api-key.ts';
import type { Clock } from '../core/clock.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { AlarmBook } from './alarm-book.ts';
import type { Notice } from './session-report.ts';

/** A key that is still being presented is told of once in this time: its owner may call many times a second. */
const REPLAY_EVERY_MS = 60_000;
/** Keys whose replays are told apart; beyond it the oldest are told of anew. */
const REPLAYS_REMEMBERED = 1000;

/** Turns what the key service reports into metrics, log lines and alarms for the owner. */
export function observeKeys(
  metrics: GatewayMetrics,
  notice: Notice,
  clock: Clock,
  alarms: Pick<AlarmBook, 'note'>,
): KeyObserver {
  const storeSeconds = metrics.storeSeconds.child({ operation: 'key' });
  const toldMs = new Map<string, number>();
  const isNews = (id: string): boolean => {
    const now = clock.now();
    if (now - (toldMs.get(id) ?? Number.NEGATIVE_INFINITY) < REPLAY_EVERY_MS) return false;
    toldMs.delete(id);
    toldMs.set(id, now);
    const [oldest] = toldMs.keys();
    if (toldMs.size > REPLAYS_REMEMBERED && oldest !== undefined) toldMs.delete(oldest);
    return true;
  };
  return {
    rejected: (code) => metrics.apiKeysRejected.child({ code }).inc(),
    replayed: ({ id, account, subject, code }) => {
      metrics.apiKeyReplays.inc();
      if (!isNews(id)) return;
      alarms.note(account, subject, 'replay', id);
      notice('warn', 'a key that no longer works is still being used', { keyId: id, account, code });
    },
    rotated: (reason, { id, account }) => {
      metrics.apiKeyRotations.child({ reason }).inc();
      notice('info', 'API key rotated', { keyId: id, account, reason });
    },
    warned: ({ id, account, daysLeft }) => {
      notice('warn', 'an API key ends soon', { keyId: id, account, daysLeft });
    },
    storeSeconds: (seconds) => storeSeconds.observe(seconds),
  };
}

/** Sets the gauges of keys; called before each scrape. */
export function collectKeys(
  metrics: GatewayMetrics,
  census: {
    readonly states: Record<KeyState, number>;
    readonly expiringWithinDays: ReadonlyMap<number, number>;
  },
): void {
  for (const [state, count] of Object.entries(census.states)) metrics.apiKeys.child({ state }).set(count);
  for (const [days, count] of census.expiringWithinDays) {
    metrics.apiKeysExpiring.child({ days: String(days) }).set(count);
  }
}
