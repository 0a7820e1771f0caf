import { foldName } from '../core/fold-name.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { KeyClient, KeyStream, KeyVerdict, LiveKey } from './api-key.ts';
import { keyId, parseKey, type ParsedKey } from './key-format.ts';
import type { KeptKey, KeyKeeper } from './key-keeper.ts';
import { type KeyGeneration, stateIn } from './key-life.ts';
import { RememberedKey } from './live-key.ts';

/** How long a copy is good for at most, in ms, though nobody said that it is old. */
const FRESH_MS = 15_000;
/** How often the last use of a key is written, in ms. */
const SAVE_USE_MS = 60_000;
const AGENT_LENGTH = 200;
/** Compared with when there is no such key, so that an unknown id takes as long as a wrong secret. */
const NOBODY = { kid: '', mac: '' };
const MALFORMED: KeyVerdict = { kind: 'refused', code: 'key_malformed' };
const UNKNOWN: KeyVerdict = { kind: 'refused', code: 'key_unknown' };

/** Says what a presented text is, and remembers the keys in use. */
export class KeyVerifier {
  readonly #keeper: KeyKeeper;
  readonly #limit: number;
  readonly #byText = new Map<string, RememberedKey>();
  readonly #byLineage = new Map<string, Map<string, RememberedKey>>();
  readonly #held = new Map<string, number>();
  readonly #stopListening: () => void;

  constructor(keeper: KeyKeeper, limit: number) {
    this.#keeper = keeper;
    this.#limit = limit;
    this.#stopListening = keeper.store.onChange((lineage) => this.#learn(lineage));
  }

  /** The steady state: no store, no hash, no allocation. */
  verify(text: string, client: KeyClient): KeyVerdict | Promise<KeyVerdict> {
    const known = this.#byText.get(text);
    const { clock, store } = this.#keeper;
    const nowMs = clock.now();
    if (known !== undefined && nowMs < known.freshUntilMs && nowMs < known.expiresAtMs && store.isFresh()) {
      if (nowMs - known.savedUseMs >= SAVE_USE_MS) this.#saveUse(known, client, nowMs);
      return known.verdict;
    }
    const { prefix, acceptsImported } = this.#keeper.settings;
    const parsed = parseKey(prefix, text);
    if (parsed !== undefined) return this.#ask(text, parsed, client);
    if (acceptsImported && text.length >= 20 && text.length <= 512) return this.#askImported(text, client);
    this.#keeper.observer.rejected('key_malformed');
    return MALFORMED;
  }

  /** Refuses a person's keys until it is taken back. */
  hold(account: string, subject: string): () => void {
    const person = personOf(account, subject);
    this.#held.set(person, (this.#held.get(person) ?? 0) + 1);
    this.forgetFreshness();
    return () => {
      const left = (this.#held.get(person) ?? 1) - 1;
      if (left > 0) this.#held.set(person, left);
      else this.#held.delete(person);
    };
  }

  attach(key: LiveKey, stream: KeyStream): () => void {
    if (!(key instanceof RememberedKey) || key.stopped) {
      stream.close();
      return () => undefined;
    }
    key.streams.add(stream);
    // A newer copy may have taken the stream over.
    return () => {
      for (const each of this.#byLineage.get(key.lineage)?.values() ?? []) each.streams.delete(stream);
      key.streams.delete(stream);
    };
  }

  /** Makes every copy old: the next use of each asks the store. */
  forgetFreshness(): void {
    for (const known of this.#byText.values()) known.freshUntilMs = 0;
  }

  /** Closes streams of keys that ran out, or whose end was not heard of. */
  async tick(): Promise<void> {
    // Asked so that a store without pushes says what others changed.
    this.#keeper.store.isFresh();
    const nowMs = this.#keeper.clock.now();
    for (const known of this.#byText.values()) {
      if (known.expiresAtMs <= nowMs) this.#drop(known);
      else if (known.streams.size > 0 && known.freshUntilMs <= nowMs) await this.#look(known.lineage);
    }
  }

  async close(): Promise<void> {
    this.#stopListening();
    for (const known of this.#byText.values()) this.#drop(known);
  }

  async #ask(text: string, parsed: ParsedKey, client: KeyClient): Promise<KeyVerdict> {
    const kept = await this.#keeper.read(parsed.lineage);
    const each = kept?.record.generations.find(({ generation }) => generation === parsed.generation);
    const isRight = this.#keeper.vault.isSecret(parsed.id, parsed.secret, each ?? NOBODY);
    if (kept === undefined || each === undefined || !isRight) {
      this.#keeper.observer.rejected('key_unknown');
      return UNKNOWN;
    }
    return this.#judge(text, kept, each, client);
  }

  async #askImported(text: string, client: KeyClient): Promise<KeyVerdict> {
    for (const lineage of this.#keeper.vault.importedLineages(text)) {
      const kept = await this.#keeper.read(lineage);
      const each = kept?.record.generations.find(({ generation }) => generation === 0);
      const isRight = this.#keeper.vault.isSecret(keyId(lineage, 0), text, each ?? NOBODY);
      if (kept !== undefined && each !== undefined && isRight) return this.#judge(text, kept, each, client);
    }
    this.#keeper.observer.rejected('key_unknown');
    return UNKNOWN;
  }

  /** The caller holds the right secret, and so may know what became of it. */
  #judge(text: string, kept: KeptKey, each: KeyGeneration, client: KeyClient): KeyVerdict {
    const { clock, settings, observer } = this.#keeper;
    const { record, version } = kept;
    const nowMs = clock.now();
    const state = stateIn(record, each, nowMs, settings.warnBeforeMs);
    const id = keyId(record.lineage, each.generation);
    if (state === 'active' || state === 'expiring') {
      if (this.#held.has(personOf(record.account, record.subject)))
        throw new GatewayError('store_unavailable', 'a change of credentials is not through yet', {
          retryAfterSeconds: 1,
        });
      return this.#remember(text, kept, each, client).verdict;
    }
    const known = this.#byText.get(text);
    if (known !== undefined && known.version <= version) this.#drop(known);
    const code = `key_${state}` as const;
    observer.rejected(code);
    if (state === 'rotated' || state === 'revoked')
      observer.replayed({ id, account: record.account, subject: record.subject, code });
    return { kind: 'refused', code, id };
  }

  #remember(text: string, kept: KeptKey, each: KeyGeneration, client: KeyClient): RememberedKey {
    const { clock, settings } = this.#keeper;
    const nowMs = clock.now();
    const warnFromMs = each.expiresMs - (settings.warnBeforeMs[0] ?? 0);
    const before = this.#byText.get(text);
    const isSame = before?.version === kept.version && (before.warning !== undefined || nowMs < warnFromMs);
    const known =
      before !== undefined && isSame
        ? before
        : this.#replace(text, before, new RememberedKey(kept.record, each, kept.version, warnFromMs, nowMs));
    // The warning begins on time.
    known.freshUntilMs = nowMs < warnFromMs ? Math.min(nowMs + FRESH_MS, warnFromMs) : nowMs + FRESH_MS;
    if (nowMs - known.savedUseMs >= SAVE_USE_MS) this.#saveUse(known, client, nowMs);
    return known;
  }

  /** Puts a newer copy in the place of an older one; what the older held open hangs on the newer now. */
  #replace(text: string, before: RememberedKey | undefined, known: RememberedKey): RememberedKey {
    known.savedUseMs = before?.savedUseMs ?? 0;
    for (const stream of before?.streams ?? []) known.streams.add(stream);
    this.#byText.delete(text);
    this.#byText.set(text, known);
    this.#shelf(known.lineage).set(text, known);
    if (this.#byText.size > this.#limit) this.#dropOldest();
    return known;
  }

  /** Somebody changed a key: its copy is old, and what it holds open must not outlive it. */
  #learn(lineage: string | undefined): void {
    if (lineage === undefined) return this.forgetFreshness();
    const shelf = this.#byLineage.get(lineage);
    if (shelf === undefined) return;
    let hasStreams = false;
    for (const known of shelf.values()) {
      known.freshUntilMs = 0;
      hasStreams ||= known.streams.size > 0;
    }
    // A store that is away now is asked again by the next tick.
    if (hasStreams) this.#look(lineage).catch(() => undefined);
  }

  async #look(lineage: string): Promise<void> {
    const kept = await this.#keeper.read(lineage);
    const { clock, settings } = this.#keeper;
    const nowMs = clock.now();
    for (const known of this.#byLineage.get(lineage)?.values() ?? []) {
      const each = kept?.record.generations.find(({ generation }) => generation === known.generation);
      const state =
        kept === undefined || each === undefined
          ? 'revoked'
          : stateIn(kept.record, each, nowMs, settings.warnBeforeMs);
      if (state !== 'active' && state !== 'expiring') this.#drop(known);
      else if (kept?.version === known.version) known.freshUntilMs = nowMs + FRESH_MS;
    }
  }

  #saveUse(known: RememberedKey, { clientAddress, userAgent }: KeyClient, nowMs: number): void {
    known.savedUseMs = nowMs;
    const { lineage, generation } = known;
    const use = { atMs: nowMs, from: clientAddress, agent: userAgent.slice(0, AGENT_LENGTH), generation };
    const sealed = this.#keeper.vault.sealUse(lineage, use);
    // What is lost is a time in a list; the next use writes it again.
    this.#keeper.store.noteUse(lineage, nowMs, sealed).catch(() => (known.savedUseMs = 0));
  }

  #shelf(lineage: string): Map<string, RememberedKey> {
    const known = this.#byLineage.get(lineage);
    if (known !== undefined) return known;
    const made = new Map<string, RememberedKey>();
    this.#byLineage.set(lineage, made);
    return made;
  }

  #dropOldest(): void {
    for (const known of this.#byText.values()) {
      if (known.streams.size > 0) continue;
      this.#forget(known);
      return;
    }
  }

  #drop(known: RememberedKey): void {
    this.#forget(known);
    known.stop();
  }

  #forget(known: RememberedKey): void {
    const shelf = this.#byLineage.get(known.lineage);
    for (const [text, each] of shelf ?? []) {
      if (each !== known) continue;
      this.#byText.delete(text);
      shelf?.delete(text);
    }
    if (shelf?.size === 0) this.#byLineage.delete(known.lineage);
  }
}

function personOf(account: string, subject: string): string {
  return `${account}\n${foldName(subject)}`;
}
