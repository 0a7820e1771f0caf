import type { Clock } from '../core/clock.ts';
import { foldName } from '../core/fold-name.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { KeyStore } from '../store/key-store.ts';
import type {
  IssuedKey,
  IssueRequest,
  KeyClient,
  KeyObserver,
  KeyScope,
  KeyService,
  KeySettings,
  KeyState,
  KeyStream,
  KeySummary,
  KeyVerdict,
  LiveKey,
} from './api-key.ts';
import { endOfAge } from './key-age.ts';
import { keyId, newLineage, parseKeyId } from './key-format.ts';
import { KeyKeeper } from './key-keeper.ts';
import { hasWorking, type KeyRecord, newest, revoke, rotate, stateIn, works } from './key-life.ts';
import { KeyRelease } from './key-release.ts';
import { type Deliver, doRound } from './key-rounds.ts';
import { KeyVerifier } from './key-verifier.ts';

/** What a key service is made of. */
export interface KeyServiceOptions {
  readonly store: KeyStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly settings: KeySettings;
  readonly observer: KeyObserver;
  /** Most keys kept in memory; the others cost a store trip when they come back. Default 50,000. */
  readonly keyLimit?: number;
}

const IMPORTED_LENGTH = 20;
const EVERYTHING: KeyScope = {
  routes: [],
  methods: [],
  isReadOnly: false,
  networks: [],
  requests: undefined,
};
const CENSUS_MS = 10_000;
const DAYS = [1, 7, 14, 30] as const;
const DAY_MS = 86_400_000;

/** Makes the key service; see {@link KeyService}. */
export function createKeyService(options: KeyServiceOptions): KeyService {
  return new Keys(new KeyKeeper(options), options.keyLimit ?? 50_000);
}

class Keys implements KeyService {
  readonly #keeper: KeyKeeper;
  readonly #verifier: KeyVerifier;
  readonly #release: KeyRelease;
  #census: { readonly atMs: number; readonly found: Awaited<ReturnType<KeyService['census']>> } | undefined;

  constructor(keeper: KeyKeeper, keyLimit: number) {
    this.#keeper = keeper;
    this.#verifier = new KeyVerifier(keeper, keyLimit);
    this.#release = new KeyRelease(keeper);
  }

  verify(text: string, client: KeyClient): KeyVerdict | Promise<KeyVerdict> {
    return this.#verifier.verify(text, client);
  }

  async issue(request: IssueRequest): Promise<IssuedKey> {
    const { vault, clock, settings } = this.#keeper;
    const { imported } = request;
    if (imported !== undefined && imported.length < IMPORTED_LENGTH)
      throw new GatewayError(
        'key_malformed',
        `a key to be imported has ${IMPORTED_LENGTH} characters or more`,
      );
    const lineage = imported === undefined ? newLineage() : (vault.importedLineages(imported)[0] ?? '');
    const id = keyId(lineage, 0);
    const fresh =
      imported === undefined
        ? vault.makeSecret(settings.prefix, id)
        : { ...vault.macOf(id, imported), text: imported };
    const nowMs = clock.now();
    const expiresMs = endOfAge(nowMs, settings.maxAge);
    const upstreamCredential = request.upstreamCredential ?? (await this.#credentialOf(request));
    const record: KeyRecord = {
      lineage,
      account: request.account,
      subject: request.subject,
      label: request.label ?? '',
      scope: { ...EVERYTHING, ...request.scope },
      upstreamCredential,
      generations: [{ generation: 0, kid: fresh.kid, mac: fresh.mac, createdMs: nowMs, expiresMs }],
      waiting: undefined,
      warnedMs: 0,
      isExpiryTold: false,
      notices: [],
    };
    if (!(await this.#keeper.write(record, 1)))
      throw new GatewayError('key_malformed', 'this key was imported before');
    return { id, key: fresh.text, expires_at: new Date(expiresMs).toISOString() };
  }

  async rotate(id: string, overlapMs: number): Promise<IssuedKey | undefined> {
    return await this.#rotate(id, overlapMs);
  }

  async renew(key: LiveKey): Promise<IssuedKey | undefined> {
    if (key.warning === undefined) return undefined;
    return await this.#rotate(key.id, this.#keeper.settings.overlapMs);
  }

  async revoke(id: string): Promise<boolean> {
    const parsed = parseKeyId(id);
    if (parsed === undefined) return false;
    const { clock, settings } = this.#keeper;
    const changed = await this.#keeper.change(parsed.lineage, (record) =>
      hasWorking(record, parsed.generation, clock.now()) ? revoke(record, clock.now(), settings) : undefined,
    );
    return changed !== undefined;
  }

  async release(id: string): Promise<boolean> {
    return await this.#release.one(id);
  }

  async releaseSome(limit: number): Promise<{ released: number; left: number }> {
    return await this.#release.some(limit);
  }

  async credentialsChanged(account: string, subject: string): Promise<number> {
    const { settings, clock, vault } = this.#keeper;
    if (!settings.rotateOn.credentialChange) return 0;
    let count = 0;
    for (const { lineage } of await this.#keeper.ofPerson(account, subject)) {
      const changed = await this.#keeper.change(lineage, (record) => {
        const how = { reason: 'credential_change', overlapMs: 0, waits: true } as const;
        return rotate(record, clock.now(), settings, (id) => vault.makeSecret(settings.prefix, id), how)
          ?.record;
      });
      if (changed === undefined) continue;
      count += 1;
      this.#report(changed, 'credential_change');
    }
    return count;
  }

  hold(account: string, subject: string): () => void {
    return this.#verifier.hold(account, subject);
  }

  async list(filter: { account?: string | undefined; subject?: string | undefined }): Promise<KeySummary[]> {
    const { account, subject } = filter;
    const records =
      account !== undefined && subject !== undefined
        ? await this.#keeper.ofPerson(account, subject)
        : await this.#keeper.all();
    const wanted = records.filter(
      (record) =>
        (account === undefined || record.account === account) &&
        (subject === undefined || foldName(record.subject) === foldName(subject)),
    );
    const uses = await this.#keeper.uses(wanted.map(({ lineage }) => lineage));
    return wanted.flatMap((record, index) => this.#rows(record, uses[index]));
  }

  async collect(id: string, account: string, subject: string): Promise<IssuedKey | undefined> {
    const parsed = parseKeyId(id);
    if (parsed === undefined) return undefined;
    let text: string | undefined;
    const changed = await this.#keeper.change(parsed.lineage, (record) => {
      const isOwn = record.account === account && foldName(record.subject) === foldName(subject);
      text = record.waiting;
      if (!isOwn || text === undefined || newest(record).generation !== parsed.generation) return undefined;
      return { ...record, waiting: undefined };
    });
    if (changed === undefined || text === undefined) return undefined;
    return { id, key: text, expires_at: new Date(newest(changed).expiresMs).toISOString() };
  }

  async setUpstreamCredential(account: string, subject: string, credential: string): Promise<number> {
    let count = 0;
    for (const { lineage, upstreamCredential } of await this.#keeper.ofPerson(account, subject)) {
      // A credential that is seen at every sign-in seldom changes, and a change is news for every node.
      const isSame = upstreamCredential === credential;
      const change = (record: KeyRecord) => ({ ...record, upstreamCredential: credential });
      if (isSame || (await this.#keeper.change(lineage, change)) !== undefined) count += 1;
    }
    return count;
  }

  /** The CRM's credential is the person's: a new key starts with the one that the others have. */
  async #credentialOf({ account, subject }: IssueRequest): Promise<string | undefined> {
    const records = await this.#keeper.ofPerson(account, subject);
    return records.findLast(({ upstreamCredential }) => upstreamCredential !== undefined)?.upstreamCredential;
  }

  attach(key: LiveKey, stream: KeyStream): () => void {
    return this.#verifier.attach(key, stream);
  }

  async census(): ReturnType<KeyService['census']> {
    const nowMs = this.#keeper.clock.now();
    if (this.#census !== undefined && nowMs - this.#census.atMs < CENSUS_MS) return this.#census.found;
    const states: Record<KeyState, number> = {
      active: 0,
      expiring: 0,
      held: 0,
      rotated: 0,
      expired: 0,
      revoked: 0,
    };
    const expiringWithinDays = new Map<number, number>(DAYS.map((days) => [days, 0]));
    for (const record of await this.#keeper.all()) {
      for (const each of record.generations) {
        const state = stateIn(record, each, nowMs, this.#keeper.settings.warnBeforeMs);
        states[state] += 1;
        if (each.over !== undefined || state === 'held' || !works(each, nowMs)) continue;
        for (const days of DAYS) {
          if (each.expiresMs - nowMs <= days * DAY_MS)
            expiringWithinDays.set(days, (expiringWithinDays.get(days) ?? 0) + 1);
        }
      }
    }
    const found = { states, expiringWithinDays };
    this.#census = { atMs: nowMs, found };
    return found;
  }

  async tick(deliver: Deliver | undefined): Promise<void> {
    await this.#verifier.tick();
    await doRound(this.#keeper, deliver);
  }

  configure(settings: KeySettings): void {
    this.#keeper.configure(settings);
    this.#verifier.forgetFreshness();
  }

  async close(): Promise<void> {
    await this.#verifier.close();
    this.#keeper.close();
  }

  async #rotate(id: string, overlapMs: number): Promise<IssuedKey | undefined> {
    const parsed = parseKeyId(id);
    if (parsed === undefined) return undefined;
    const { settings, clock, vault } = this.#keeper;
    let issued: IssuedKey | undefined;
    const changed = await this.#keeper.change(parsed.lineage, (record) => {
      if (newest(record).generation !== parsed.generation) return undefined;
      const how = { reason: 'request', overlapMs, waits: false } as const;
      const make = (next: string) => vault.makeSecret(settings.prefix, next);
      const rotated = rotate(record, clock.now(), settings, make, how);
      if (rotated === undefined) return undefined;
      const expires = new Date(newest(rotated.record).expiresMs).toISOString();
      issued = { id: rotated.id, key: rotated.fresh.text, expires_at: expires };
      return rotated.record;
    });
    if (changed === undefined) return undefined;
    this.#report(changed, 'request');
    return issued;
  }

  #report(record: KeyRecord, reason: 'request' | 'credential_change'): void {
    const { account, subject, lineage } = record;
    const id = keyId(lineage, newest(record).generation);
    this.#keeper.observer.rotated(reason, { id, account, subject });
  }

  #rows(record: KeyRecord, use: Awaited<ReturnType<KeyKeeper['uses']>>[number]): KeySummary[] {
    const { clock, settings } = this.#keeper;
    const nowMs = clock.now();
    const last = newest(record);
    return record.generations.toReversed().map((each) => {
      const used = use?.generation === each.generation ? use : undefined;
      return {
        id: keyId(record.lineage, each.generation),
        account: record.account,
        subject: record.subject,
        label: record.label,
        state: stateIn(record, each, nowMs, settings.warnBeforeMs),
        created_at: new Date(each.createdMs).toISOString(),
        expires_at: new Date(each.expiresMs).toISOString(),
        last_used_at: used === undefined ? null : new Date(used.atMs).toISOString(),
        last_used_from: used?.from ?? null,
        last_used_agent: used?.agent ?? null,
        waiting: each === last && record.waiting !== undefined,
      };
    });
  }
}
