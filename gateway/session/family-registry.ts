import type { EndReason } from '../store/session-store.ts';
import type { LiveFamily } from './live-family.ts';

/** Most ended families that are remembered; the store knows the others. */
const TOMBSTONE_LIMIT = 100_000;
/** Most families that one addition looks at to find one to drop, so that an addition stays cheap. */
const EVICTION_STEPS = 8;

/**
 * The families that this process knows. Bounded: the ones unused for longest are dropped, found by a second-chance
 * walk in order of entry, so that a request writes one number and moves nothing.
 *
 * A dropped family may still serve requests, and those must see it end. So a dropped family is kept by a weak
 * reference for as long as anybody holds it: nothing has to be counted on the request path, and nothing leaks when
 * a caller forgets to let go. If it is asked for again in that time, the same object comes back.
 */
export class FamilyRegistry {
  readonly #limit: number;
  readonly #byId = new Map<string, LiveFamily>();
  readonly #byToken = new Map<string, LiveFamily>();
  readonly #dropped = new Map<string, WeakRef<LiveFamily>>();
  readonly #collected = new FinalizationRegistry<string>((id) => {
    if (this.#dropped.get(id)?.deref() === undefined) this.#dropped.delete(id);
  });
  /** Use of a family when the walk last passed it: used since then means a second chance. */
  readonly #markMs = new WeakMap<LiveFamily, number>();
  readonly #tombstones = new Map<string, EndReason>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The family whose sole active id this token is, if it may be accepted here. */
  byToken(token: string): LiveFamily | undefined {
    return this.#byToken.get(token);
  }

  /** A family by the hash of its id. */
  get(id: string): LiveFamily | undefined {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const dropped = this.#dropped.get(id)?.deref();
    if (dropped !== undefined) this.add(dropped);
    return dropped;
  }

  add(family: LiveFamily): void {
    this.#dropped.delete(family.id);
    this.#collected.unregister(family);
    this.#byId.set(family.id, family);
    if (this.#byId.size > this.#limit) this.#dropOne();
  }

  /** Makes a token the one that is accepted here, or with `undefined` none. */
  setCurrent(family: LiveFamily, token: string | undefined, hash = ''): void {
    if (family.current !== undefined && family.current.token !== token) {
      this.#byToken.delete(family.current.token);
      family.current = undefined;
    }
    if (token === undefined || family.ended !== undefined || family.current !== undefined) return;
    // A token cut out of a Cookie header keeps that whole header in memory; a copy does not.
    const copy = Buffer.from(token, 'latin1').toString('latin1');
    const verdict = { kind: 'live', session: family, token: copy } as const;
    family.current = { token: copy, hash, plain: { ...verdict, due: false }, due: { ...verdict, due: true } };
    this.#byToken.set(copy, family);
  }

  /** Why a family ended, if this process saw it. */
  reasonOf(id: string): EndReason | undefined {
    return this.#tombstones.get(id);
  }

  /**
   * Buries an ended family: its ids are refused from now on without asking the store, whatever the store says later.
   *
   * @returns whether it was not buried before.
   */
  bury(id: string, reason: EndReason): boolean {
    const family = this.#byId.get(id) ?? this.#dropped.get(id)?.deref();
    this.#byId.delete(id);
    this.#dropped.delete(id);
    const isNew = !this.#tombstones.has(id);
    if (isNew) {
      this.#tombstones.set(id, reason);
      const [oldest] = this.#tombstones.keys();
      if (this.#tombstones.size > TOMBSTONE_LIMIT && oldest !== undefined) this.#tombstones.delete(oldest);
    }
    if (family !== undefined) {
      this.setCurrent(family, undefined);
      family.finish(reason);
    }
    return isNew;
  }

  /** All families that are held. */
  families(): Iterable<LiveFamily> {
    return this.#byId.values();
  }

  /** How many families are held. */
  get size(): number {
    return this.#byId.size;
  }

  #dropOne(): void {
    for (let step = 0; step < EVICTION_STEPS; step += 1) {
      const [oldest] = this.#byId.values();
      if (oldest === undefined) return;
      this.#byId.delete(oldest.id);
      const usedSince = oldest.usedMs !== this.#markMs.get(oldest);
      if (oldest.streams === 0 && (!usedSince || step === EVICTION_STEPS - 1)) {
        this.setCurrent(oldest, undefined);
        this.#dropped.set(oldest.id, new WeakRef(oldest));
        this.#collected.register(oldest, oldest.id, oldest);
        return;
      }
      this.#markMs.set(oldest, oldest.usedMs);
      this.#byId.set(oldest.id, oldest);
    }
  }
}
