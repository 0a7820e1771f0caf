import { randomBytes, type X509Certificate } from 'node:crypto';

import type { AuditSink } from '../core/audit-event.ts';
import type { JsonValue } from '../core/canonical-json.ts';
import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { sealedKeyFiles } from '../store/key-file.ts';
import type { RecordStore } from '../store/record-store.ts';
import { openAdminAuthority } from './admin-authority.ts';
import { AdminRecords, NOBODY, type Standing } from './admin-records.ts';
import type { AdminList, Administrator, AdminRefusal } from './admin.ts';
import { certificateFingerprint } from './client-certificate.ts';
import { isRevoked, type Revocation } from './revocations.ts';
import type { SignedRecords } from './signed-records.ts';

/** What the register stands on. */
export interface AdminRegisterParts {
  readonly records: RecordStore;
  readonly signed: SignedRecords;
  /** Seals the key of this node's authority. */
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** The data directory. */
  readonly data: string;
  readonly audit: AuditSink;
  notice(level: 'info' | 'warn' | 'error', message: string, facts?: Readonly<Record<string, unknown>>): void;
}

/**
 * The list of administrators in force, kept in the records that all processes and nodes share. The policy decides it
 * once, on the first start; afterwards only an approved proposal changes it. Records that do not verify, that were put
 * back or that are gone close the door (fail closed).
 */
export class AdminRegister implements AdminList {
  readonly #parts: AdminRegisterParts;
  readonly #records: AdminRecords;
  readonly #listeners = new Set<() => void>();
  #standing: Standing = NOBODY;
  #wanted: readonly Administrator[] | undefined;
  #reading: Promise<void> | undefined;
  #isStale = false;
  #forget: () => void = () => undefined;

  private constructor(parts: AdminRegisterParts) {
    this.#parts = parts;
    this.#records = new AdminRecords(parts.signed);
  }

  /**
   * Opens the register, and enrols the two of the policy when nobody ever was.
   *
   * @param wanted the administrators of the policy.
   */
  static async open(
    parts: AdminRegisterParts,
    wanted: readonly Administrator[] | undefined,
  ): Promise<AdminRegister> {
    const register = new AdminRegister(parts);
    await register.#load();
    await register.configure(wanted);
    register.#forget = parts.records.onChange((kind) => {
      if (kind === undefined || kind === 'admin') register.refresh();
    });
    return register;
  }

  get administrators(): readonly Administrator[] {
    const { list, fault } = this.#standing;
    return fault === undefined ? (list?.administrators ?? []) : [];
  }

  get authorities(): readonly string[] {
    return this.#standing.authorities.map(({ pem }) => pem);
  }

  /** The number of the list in force; 0 while nobody is enrolled. */
  get listNumber(): number {
    return this.#standing.list?.number ?? 0;
  }

  /** What signatures call this installation; empty while nobody is enrolled. */
  get gateway(): string {
    return this.#standing.list?.gateway ?? '';
  }

  /** On whose word the list in force is. */
  get listBy(): JsonValue {
    return this.#standing.list?.by ?? null;
  }

  /** When the list in force began, in ms; `undefined` while nobody is enrolled. */
  get sinceMs(): number | undefined {
    return this.#standing.list?.since_ms;
  }

  /** Why nobody is let in although there are records; `undefined` when all is well. */
  get fault(): string | undefined {
    return this.#standing.fault;
  }

  /** The administrators that the policy names, when they are not those in force: a wish that waits for both. */
  get proposed(): readonly Administrator[] | undefined {
    const wanted = this.#wanted;
    if (this.#standing.list === undefined || wanted === undefined) return undefined;
    return isSameList(wanted, this.#standing.list.administrators) ? undefined : wanted;
  }

  get revocations(): readonly Revocation[] {
    return this.#standing.revocations;
  }

  identify(certificate: X509Certificate | undefined): Administrator | AdminRefusal {
    if (certificate === undefined) return 'no_certificate';
    if (this.administrators.length === 0) return 'not_enrolled';
    const isOurs = this.#standing.authorities.some(
      ({ certificate: authority }) =>
        certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
    );
    if (!isOurs) return 'other_authority';
    const nowMs = this.#parts.clock.now();
    if (certificate.validToDate.getTime() <= nowMs || certificate.validFromDate.getTime() > nowMs)
      return 'expired';
    const fingerprint = certificateFingerprint(certificate);
    if (isRevoked(certificate, fingerprint, this.#standing.revocations)) return 'revoked';
    return this.administrators.find((each) => each.fingerprint === fingerprint) ?? 'unknown_key';
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Follows a policy: enrols its two when nobody ever was, and is only told what it wishes for otherwise.
   *
   * @throws GatewayError `audit_unavailable`, `store_unavailable`: then nobody is enrolled.
   */
  async configure(wanted: readonly Administrator[] | undefined): Promise<void> {
    this.#wanted = wanted;
    const { list, fault } = this.#standing;
    if (fault !== undefined) return;
    if (list === undefined && wanted !== undefined) await this.#enrol(wanted);
    this.#sayDifference();
    if (this.#standing.list !== undefined) await this.#shareAuthority();
  }

  /** Reads the records again; errors are told to the log and leave things as they are. */
  refresh(): void {
    void this.reload().catch((error: unknown) => {
      this.#parts.notice('warn', 'the records of the administrators could not be read', { error });
    });
  }

  /** Reads the records again. Calls that come while one runs share the next one. @throws `store_unavailable`. */
  reload(): Promise<void> {
    this.#isStale = true;
    this.#reading ??= this.#readUntilFresh().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  /** Called about once a second: sees what other processes changed. */
  tick(): void {
    if (!this.#parts.records.isFresh()) this.refresh();
  }

  /**
   * Replaces the list, once, by what both signed.
   *
   * @param from the number of the list that the signatures were made under. @param by the proof that is kept.
   * @throws GatewayError `store_unavailable`; Error when the list went on meanwhile.
   */
  async replace(from: number, administrators: readonly Administrator[], by: JsonValue): Promise<void> {
    await this.reload();
    const { list } = this.#standing;
    // A process that died after writing has left this behind.
    if (list?.number === from + 1 && isSameList(list.administrators, administrators)) return;
    if (list?.number !== from) throw new Error('the list of administrators has changed meanwhile');
    const { gateway } = list;
    const since = this.#parts.clock.now();
    await this.#records.writeList({ number: from + 1, gateway, administrators, since_ms: since, by });
    await this.reload();
    if (this.listNumber !== from + 1) throw new Error('the list of administrators has changed meanwhile');
    this.#sayDifference();
  }

  /** Takes certificates back. @throws GatewayError `audit_unavailable`, `store_unavailable`, `admin_untrusted`. */
  async revoke(revocation: Revocation): Promise<void> {
    await this.#parts.audit.commit({ event: 'admin.certificate_revoked', facts: { ...revocation } });
    await this.#records.addRevocation(revocation);
    await this.reload();
  }

  close(): void {
    this.#forget();
    this.#listeners.clear();
  }

  async #readUntilFresh(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false;
      await this.#load();
    }
  }

  async #load(): Promise<void> {
    const before = this.#standing;
    this.#standing = await this.#records.read();
    const { fault } = this.#standing;
    if (fault !== undefined && before.fault === undefined) {
      this.#parts.notice('error', 'nobody is let in as administrator', { reason: fault });
      this.#parts.audit.note({ event: 'admin.untrusted', facts: { reason: fault } });
    }
    if (JSON.stringify(before) === JSON.stringify(this.#standing)) return;
    for (const listener of this.#listeners) listener();
  }

  async #enrol(administrators: readonly Administrator[]): Promise<void> {
    await this.#parts.audit.commit({
      event: 'admin.enrolled',
      facts: {
        names: administrators.map(({ name }) => name),
        keys: administrators.map((each) => each.fingerprint),
      },
    });
    const gateway = randomBytes(16).toString('base64url');
    const list = { number: 1, gateway, administrators, since_ms: this.#parts.clock.now(), by: 'policy' };
    if (await this.#records.writeList(list)) {
      const names = administrators.map(({ name }) => name);
      this.#parts.notice('info', 'the two administrators of the policy are enrolled', { names });
    }
    await this.reload();
  }

  /** Has the certificates of this node's authority count everywhere. */
  async #shareAuthority(): Promise<void> {
    const { data, keyring, clock } = this.#parts;
    const { certPem } = await openAdminAuthority(data, sealedKeyFiles(keyring), clock.now());
    if (this.authorities.includes(certPem)) return;
    await this.#records.addAuthority(certPem);
    await this.reload();
  }

  #sayDifference(): void {
    const { proposed } = this;
    if (proposed === undefined) return;
    this.#parts.notice('warn', 'the policy names other administrators; those in force stay until both sign', {
      inForce: this.administrators.map(({ name }) => name),
      proposed: proposed.map(({ name }) => name),
    });
  }
}

function isSameList(one: readonly Administrator[], other: readonly Administrator[]): boolean {
  const text = (list: readonly Administrator[]) =>
    list
      .map(({ name, fingerprint }) => `${fingerprint} ${name}`)
      .toSorted()
      .join('\n');
  return text(one) === text(other);
}
