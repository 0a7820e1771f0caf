import { createHmac } from 'node:crypto';

import type { Clock } from '../core/clock.ts';
import { foldName } from '../core/fold-name.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';
import type { RecordStore, StoredRecord } from '../store/record-store.ts';

/** Something that a person should know of: `theft` and `moved` ended a session, `replay` is a key that is over in use. */
export interface PersonAlarm {
  readonly kind: 'theft' | 'moved' | 'replay';
  readonly atMs: number;
  /** What it is about: the id of a key, or nothing. Never a secret. */
  readonly detail: string;
}

/** Alarms of people, for their account page; shared by all processes and nodes. */
export interface AlarmBook {
  /** Writes an alarm behind what goes on: never throws, never blocks. */
  note(account: string, subject: string, kind: PersonAlarm['kind'], detail?: string): void;
  /** The newest first. @throws GatewayError `store_unavailable`. */
  of(account: string, subject: string): Promise<readonly PersonAlarm[]>;
}

const KIND = 'alarm';
const PURPOSE = 'person-alarm';
/** Alarms of one person that are kept. */
const KEPT = 8;
/** How long an alarm is shown, in ms. */
const SHOWN_MS = 30 * 86_400_000;
/** The same alarm again within this time is no news, in ms. */
const SAME_MS = 86_400_000;
/** People whose alarms are kept: thefts are few, and whoever provokes them must not fill the store. */
const PEOPLE = 10_000;
const SWEEP_MS = 3_600_000;
const TRIES = 4;

/** Makes the book on the store of the gateway's own state. @param failed told why an alarm could not be kept. */
export function createAlarmBook(
  records: RecordStore,
  keyring: Keyring,
  clock: Clock,
  failed: (error: unknown) => void,
): AlarmBook {
  return new Book(records, keyring, clock, failed);
}

class Book implements AlarmBook {
  readonly #records: RecordStore;
  readonly #keyring: Keyring;
  readonly #clock: Clock;
  readonly #failed: (error: unknown) => void;
  readonly #box;
  #sweptMs = Number.NEGATIVE_INFINITY;
  #isFull = false;
  /** Writings of this process follow one another, so that those of one burst do not race. */
  #last: Promise<void> = Promise.resolve();

  constructor(records: RecordStore, keyring: Keyring, clock: Clock, failed: (error: unknown) => void) {
    this.#records = records;
    this.#keyring = keyring;
    this.#clock = clock;
    this.#failed = failed;
    this.#box = createSealedBox(keyring, PURPOSE);
  }

  note(account: string, subject: string, kind: PersonAlarm['kind'], detail = ''): void {
    const alarm = { kind, detail, atMs: this.#clock.now() };
    this.#last = this.#last.then(() => this.#write(account, subject, alarm)).catch(this.#failed);
  }

  async of(account: string, subject: string): Promise<readonly PersonAlarm[]> {
    const nowMs = this.#clock.now();
    const found: PersonAlarm[] = [];
    for (const id of this.#ids(account, subject)) {
      const record = await this.#records.read(KIND, id);
      if (record !== undefined) found.push(...this.#open(record));
    }
    return found.filter(({ atMs }) => nowMs - atMs < SHOWN_MS).toSorted((a, b) => b.atMs - a.atMs);
  }

  async #write(account: string, subject: string, alarm: PersonAlarm): Promise<void> {
    await this.#sweep(alarm.atMs);
    const [id = ''] = this.#ids(account, subject);
    for (let tries = 0; tries < TRIES; tries += 1) {
      const record = await this.#records.read(KIND, id);
      const known = record === undefined ? [] : this.#open(record);
      const isSame = known.some(
        ({ kind, detail, atMs }) =>
          kind === alarm.kind && kind === 'replay' && detail === alarm.detail && alarm.atMs - atMs < SAME_MS,
      );
      if (isSame || (record === undefined && this.#isFull)) return;
      const body = this.#box.seal(Buffer.from(JSON.stringify([...known, alarm].slice(-KEPT))), id);
      if (await this.#records.write({ kind: KIND, id, version: (record?.version ?? 0) + 1, body })) return;
    }
  }

  /** Forgets what nobody is shown any more. */
  async #sweep(nowMs: number): Promise<void> {
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    const all = await this.#records.list(KIND);
    const old = all.filter((record) => this.#open(record).every(({ atMs }) => nowMs - atMs >= SHOWN_MS));
    for (const { id, version } of old) await this.#records.forget(KIND, id, version);
    this.#isFull = all.length - old.length >= PEOPLE;
  }

  #open({ id, body }: StoredRecord): readonly PersonAlarm[] {
    const plain = this.#box.open(body, id);
    return plain === undefined ? [] : (JSON.parse(plain.toString()) as PersonAlarm[]);
  }

  /** What a person is called in the store, under the current master key first. */
  #ids(account: string, subject: string): string[] {
    return this.#keyring.kids.flatMap((kid) => {
      const key = this.#keyring.derive(kid, PURPOSE + ' person');
      if (key === undefined) return [];
      return [
        createHmac('sha256', key)
          .update(`${account}\0${foldName(subject)}`)
          .digest('base64url'),
      ];
    });
  }
}
