import type { IssuedKey, KeyNotice } from './api-key.ts';
import { daysLeft } from './key-age.ts';
import { keyId } from './key-format.ts';
import type { KeptKey, KeyKeeper } from './key-keeper.ts';
import {
  advance,
  claimNotice,
  forgottenMs,
  type KeyRecord,
  newest,
  type PendingNotice,
  settleNotice,
} from './key-life.ts';

/** Hands a notice to its receiver. @returns whether it was taken. */
export type Deliver = (notice: KeyNotice, successor: IssuedKey | undefined) => Promise<boolean>;

/** Most keys that one round works on, so that no round holds up the next requests for long. */
const ROUND_LIMIT = 100;

/**
 * Does what is due: warnings, rotations by age, deliveries, forgetting. Every node does rounds; whoever writes a step
 * first has done it, and the others find it done. Nothing depends on a request that arrives.
 */
export async function doRound(keeper: KeyKeeper, deliver: Deliver | undefined): Promise<void> {
  const nowMs = keeper.clock.now();
  const isWhole = keeper.isOutOfDate;
  keeper.isOutOfDate = false;
  const due = isWhole ? await keeper.store.list() : await keeper.store.due(nowMs, ROUND_LIMIT);
  for (const stored of due) {
    const kept = keeper.open(stored);
    if (kept !== undefined) await advanceOne(keeper, kept, deliver, isWhole);
  }
}

async function advanceOne(
  keeper: KeyKeeper,
  kept: KeptKey,
  deliver: Deliver | undefined,
  isRedone: boolean,
): Promise<void> {
  const { settings, clock, vault } = keeper;
  const nowMs = clock.now();
  if (forgottenMs(kept.record) <= nowMs) {
    await keeper.store.forget(kept.record.lineage, kept.version);
    return;
  }
  const make = (id: string) => vault.makeSecret(settings.prefix, id);
  const advanced = advance(kept.record, nowMs, settings, make);
  // Without a webhook nobody is to be told any more.
  const record = deliver === undefined ? { ...advanced.record, notices: [] } : advanced.record;
  const isChanged = record !== kept.record && JSON.stringify(record) !== JSON.stringify(kept.record);
  let { version } = kept;
  if (isChanged || isRedone) {
    if (!(await keeper.write(record, version + 1))) return;
    version += 1;
  }
  const { account, subject, lineage } = record;
  for (const step of advanced.steps) {
    const key = { id: keyId(lineage, step.generation), account, subject };
    if (step.did === 'rotated') keeper.observer.rotated(step.reason, key);
    else keeper.observer.warned({ ...key, daysLeft: step.daysLeft });
  }
  const next = record.notices.find((each) => each.nextMs <= nowMs);
  if (next !== undefined && deliver !== undefined) await tell(keeper, { record, version }, next, deliver);
}

/** Claims a notice, so that no other node sends it too, sends it, and takes it off when it was taken. */
async function tell(
  keeper: KeyKeeper,
  kept: KeptKey,
  pending: PendingNotice,
  deliver: Deliver,
): Promise<void> {
  const claimed = claimNotice(kept.record, pending.id, keeper.clock.now());
  if (!(await keeper.write(claimed, kept.version + 1))) return;
  const isTaken = await deliver(noticeOf(claimed, pending), successorOf(claimed, pending));
  if (isTaken) await keeper.change(claimed.lineage, (record) => settleNotice(record, pending.id));
}

function noticeOf(record: KeyRecord, pending: PendingNotice): KeyNotice {
  const { account, subject, label, lineage } = record;
  const each =
    record.generations.find(({ generation }) => generation === pending.generation) ?? newest(record);
  const data = {
    id: keyId(lineage, pending.generation),
    account,
    subject,
    label,
    expires_at: new Date(each.expiresMs).toISOString(),
    days_left: daysLeft(pending.atMs, each.expiresMs),
  };
  return { id: pending.id, type: pending.type, atMs: pending.atMs, data };
}

function successorOf(record: KeyRecord, pending: PendingNotice): IssuedKey | undefined {
  const last = newest(record);
  if (pending.type !== 'key.rotated' || record.waiting === undefined) return undefined;
  if (pending.generation !== last.generation) return undefined;
  const id = keyId(record.lineage, last.generation);
  return { id, key: record.waiting, expires_at: new Date(last.expiresMs).toISOString() };
}
