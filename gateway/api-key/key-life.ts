import type { KeyScope, KeySettings, KeyState, RotationReason } from './api-key.ts';
import { daysLeft, endOfAge } from './key-age.ts';
import { GENERATION_LIMIT, keyId } from './key-format.ts';

/** One secret that a key has or had. */
export interface KeyGeneration {
  readonly generation: number;
  /** Key id of the pepper that `mac` was made under. */
  readonly kid: string;
  /** HMAC-SHA-256 of id and secret, base64url. */
  readonly mac: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  /** Why it is over or will be; absent while it is the newest and works. */
  readonly over?: { readonly state: 'rotated' | 'revoked'; readonly atMs: number; readonly reason: string };
}

/** A notice that the webhook has not taken yet. */
export interface PendingNotice {
  readonly id: string;
  readonly type: 'key.expiring' | 'key.rotated' | 'key.revoked' | 'key.expired';
  readonly generation: number;
  readonly atMs: number;
  readonly tries: number;
  readonly nextMs: number;
}

/** All that is known of one key. Holds no secret but what its service sealed. */
export interface KeyRecord {
  readonly lineage: string;
  readonly account: string;
  readonly subject: string;
  readonly label: string;
  readonly scope: KeyScope;
  readonly upstreamCredential: string | undefined;
  /** Oldest first; the last is the newest. */
  readonly generations: readonly KeyGeneration[];
  /** The text of the newest generation while nobody has collected it. */
  readonly waiting: string | undefined;
  /** The shortest of the warnings that were given of the newest generation, in ms before its end; 0 when none was. */
  readonly warnedMs: number;
  readonly isExpiryTold: boolean;
  readonly notices: readonly PendingNotice[];
  /** Set by a restore that cannot know what became of the key since; no generation opens a door until it is off. */
  readonly held?: true | undefined;
}

/** What {@link advance} did to a key. */
export type KeyStep =
  | { readonly did: 'warned'; readonly generation: number; readonly daysLeft: number }
  | { readonly did: 'rotated'; readonly generation: number; readonly reason: RotationReason };

/** A new secret, made by the caller: this file has no dice. */
export interface FreshSecret {
  readonly kid: string;
  readonly mac: string;
  readonly text: string;
}

/** How a generation gets its secret. */
export type MakeSecret = (id: string) => FreshSecret;

/** Former generations that are remembered, so that their holders are told precisely what became of them. */
const FORMER_LIMIT = 8;
/** How long a key that is over is remembered, in ms. */
const REMEMBERED_MS = 400 * 86_400_000;
const NOTICE_LIMIT = 16;
const FIRST_RETRY_MS = 5000;
const LAST_RETRY_MS = 6 * 3_600_000;
/** A notice that nobody took for so long is given up, in ms. */
const NOTICE_LIFE_MS = 14 * 86_400_000;

/** The newest generation of a key. */
export function newest({ generations }: KeyRecord): KeyGeneration {
  const last = generations.at(-1);
  if (last === undefined) throw new Error('a key without a generation');
  return last;
}

/** What a generation is at a time. */
function stateOf(each: KeyGeneration, nowMs: number, warnBeforeMs: readonly number[]): KeyState {
  if (each.over !== undefined && each.over.atMs <= nowMs) return each.over.state;
  if (each.expiresMs <= nowMs) return 'expired';
  if (each.over !== undefined) return 'expiring';
  return each.expiresMs - nowMs <= (warnBeforeMs[0] ?? 0) ? 'expiring' : 'active';
}

/** What a generation of a key is at a time, with the hold that the key may be on. */
export function stateIn(
  { held }: KeyRecord,
  each: KeyGeneration,
  nowMs: number,
  warnBeforeMs: readonly number[],
): KeyState {
  const state = stateOf(each, nowMs, warnBeforeMs);
  return held === true && (state === 'active' || state === 'expiring') ? 'held' : state;
}

/** Whether a generation opens doors at a time, unless its key is on hold. */
export function works(each: KeyGeneration, nowMs: number): boolean {
  return each.expiresMs > nowMs && (each.over === undefined || each.over.atMs > nowMs);
}

/** Whether a generation is known and works, unless its key is on hold. */
export function hasWorking({ generations }: KeyRecord, generation: number, nowMs: number): boolean {
  return generations.some((each) => each.generation === generation && works(each, nowMs));
}

/** When a generation stops at the latest, as things stand. */
export function stopsAtMs(each: KeyGeneration): number {
  return Math.min(each.expiresMs, each.over?.atMs ?? Number.POSITIVE_INFINITY);
}

/**
 * Gives a key its next generation. The one before stops after `overlapMs`; those before it stop now.
 *
 * @param waits whether the new text waits for its owner, rather than being handed over at once.
 * @returns `undefined` when the key is revoked, or has had all its generations.
 */
export function rotate(
  record: KeyRecord,
  nowMs: number,
  settings: KeySettings,
  make: MakeSecret,
  how: { readonly reason: RotationReason; readonly overlapMs: number; readonly waits: boolean },
): { record: KeyRecord; fresh: FreshSecret; id: string } | undefined {
  const last = newest(record);
  if (last.over !== undefined || last.generation + 1 >= GENERATION_LIMIT) return undefined;
  const generation = last.generation + 1;
  const id = keyId(record.lineage, generation);
  const fresh = make(id);
  const stops = (each: KeyGeneration, atMs: number): KeyGeneration =>
    each.over !== undefined && each.over.atMs <= atMs
      ? each
      : { ...each, over: { state: 'rotated', atMs, reason: how.reason } };
  const former = record.generations.map((each) => stops(each, each === last ? nowMs + how.overlapMs : nowMs));
  const next: KeyGeneration = {
    generation,
    kid: fresh.kid,
    mac: fresh.mac,
    createdMs: nowMs,
    expiresMs: endOfAge(nowMs, settings.maxAge),
  };
  const rotated: KeyRecord = {
    ...record,
    generations: [...former.slice(-FORMER_LIMIT), next],
    waiting: how.waits ? fresh.text : undefined,
    warnedMs: 0,
    isExpiryTold: false,
  };
  return { record: tell(rotated, 'key.rotated', generation, nowMs, settings), fresh, id };
}

/** Ends a key for good. @returns `undefined` when it was over already. */
export function revoke(record: KeyRecord, nowMs: number, settings: KeySettings): KeyRecord | undefined {
  if (!record.generations.some((each) => works(each, nowMs))) return undefined;
  const generations = record.generations.map((each): KeyGeneration => {
    const isOver = each.over !== undefined && each.over.atMs <= nowMs;
    return isOver ? each : { ...each, over: { state: 'revoked', atMs: nowMs, reason: 'revoked' } };
  });
  const revoked = { ...record, generations, waiting: undefined };
  return tell(revoked, 'key.revoked', newest(record).generation, nowMs, settings);
}

/**
 * Does what time brings: warnings, the rotation by age, the end of a key that does not rotate. Called at any time and
 * any number of times; what was missed in a downtime is done once, with its newest warning only.
 */
export function advance(
  record: KeyRecord,
  nowMs: number,
  settings: KeySettings,
  make: MakeSecret,
): { record: KeyRecord; steps: KeyStep[] } {
  const last = newest(record);
  const fresh = withoutOldNotices(record, nowMs);
  if (last.over !== undefined) return { record: fresh, steps: [] };
  if (last.expiresMs > nowMs) return warn(fresh, last, nowMs, settings);
  if (settings.rotateOn.age) return rotateByAge(fresh, last, nowMs, settings, make);
  if (record.isExpiryTold) return { record: fresh, steps: [] };
  const told = tell(fresh, 'key.expired', last.generation, nowMs, settings);
  return { record: { ...told, isExpiryTold: true }, steps: [] };
}

function warn(
  record: KeyRecord,
  last: KeyGeneration,
  nowMs: number,
  settings: KeySettings,
): { record: KeyRecord; steps: KeyStep[] } {
  const reached = settings.warnBeforeMs.findLast((beforeMs) => last.expiresMs - nowMs <= beforeMs);
  if (reached === undefined || (record.warnedMs !== 0 && reached >= record.warnedMs))
    return { record, steps: [] };
  const { generation } = last;
  const told = tell(record, 'key.expiring', generation, nowMs, settings);
  const step = { did: 'warned', generation, daysLeft: daysLeft(nowMs, last.expiresMs) } as const;
  return { record: { ...told, warnedMs: reached }, steps: [step] };
}

function rotateByAge(
  record: KeyRecord,
  last: KeyGeneration,
  nowMs: number,
  settings: KeySettings,
  make: MakeSecret,
): { record: KeyRecord; steps: KeyStep[] } {
  const how = { reason: 'age', overlapMs: settings.overlapMs, waits: true } as const;
  const rotated = rotate(record, nowMs, settings, make, how);
  if (rotated === undefined) return { record, steps: [] };
  // The old one had its time; the overlap begins where it ended, however late anybody noticed.
  const next = withLastOverlap(rotated.record, last, settings.overlapMs);
  const step = { did: 'rotated', generation: newest(next).generation, reason: 'age' } as const;
  return { record: next, steps: [step] };
}

function withoutOldNotices(record: KeyRecord, nowMs: number): KeyRecord {
  const notices = record.notices.filter(({ atMs }) => nowMs - atMs < NOTICE_LIFE_MS);
  return notices.length === record.notices.length ? record : { ...record, notices };
}

/** An overlap keeps the old secret alive past its end, up to the overlap and no longer. */
function withLastOverlap(record: KeyRecord, old: KeyGeneration, overlapMs: number): KeyRecord {
  const atMs = old.expiresMs + overlapMs;
  const generations = record.generations.map((each) =>
    each.generation === old.generation && each.over !== undefined
      ? { ...each, expiresMs: Math.max(each.expiresMs, atMs), over: { ...each.over, atMs } }
      : each,
  );
  return { ...record, generations };
}

/** When {@link advance} or a delivery has something to do next, in ms. */
export function dueMs(record: KeyRecord, settings: KeySettings): number {
  const last = newest(record);
  const times = record.notices.map(({ nextMs }) => nextMs);
  if (last.over === undefined) {
    const next = settings.warnBeforeMs.find(
      (beforeMs) => record.warnedMs === 0 || beforeMs < record.warnedMs,
    );
    if (next !== undefined) times.push(last.expiresMs - next);
    if (!record.isExpiryTold) times.push(last.expiresMs);
  }
  times.push(forgottenMs(record));
  return Math.min(...times);
}

/** When a key that is over for good may be forgotten, in ms; far away while it lives. */
export function forgottenMs(record: KeyRecord): number {
  const last = newest(record);
  if (last.over === undefined && !record.isExpiryTold) return Number.MAX_SAFE_INTEGER;
  return stopsAtMs(last) + REMEMBERED_MS;
}

/** Puts off a notice's next delivery, before it is tried: a node that dies meanwhile leaves it to be tried again. */
export function claimNotice(record: KeyRecord, id: string, nowMs: number): KeyRecord {
  const notices = record.notices.map((each) =>
    each.id === id
      ? {
          ...each,
          tries: each.tries + 1,
          nextMs: nowMs + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** each.tries),
        }
      : each,
  );
  return { ...record, notices };
}

/** Takes a notice off that was delivered; with it a successor that it carried counts as collected. */
export function settleNotice(record: KeyRecord, id: string): KeyRecord {
  const delivered = record.notices.find((each) => each.id === id);
  const isHandedOver =
    delivered?.type === 'key.rotated' && delivered.generation === newest(record).generation;
  return {
    ...record,
    notices: record.notices.filter((each) => each.id !== id),
    waiting: isHandedOver ? undefined : record.waiting,
  };
}

function tell(
  record: KeyRecord,
  type: PendingNotice['type'],
  generation: number,
  nowMs: number,
  settings: KeySettings,
): KeyRecord {
  if (!settings.hasWebhook) return record;
  const id = `msg_${keyId(record.lineage, generation)}_${type.slice('key.'.length)}_${nowMs.toString(36)}`;
  const notice = { id, type, generation, atMs: nowMs, tries: 0, nextMs: nowMs };
  return { ...record, notices: [...record.notices, notice].slice(-NOTICE_LIMIT) };
}
