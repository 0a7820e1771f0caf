import type { Clock } from '../core/clock.ts';
import type { Logger } from '../observability/logger.ts';
import { createTicketSecret } from './ticket-keys.ts';
import type { TicketStore } from './ticket-store.ts';

/** How long one secret makes tickets, in milliseconds. */
export const TICKET_SLOT_MS = 4 * 3_600_000;
/** How long before its slot a secret is fetched, so that no node needs the store at the moment of the change. */
const AHEAD_MS = 10 * 60_000;
const CHECK_MS = 1000;

/** What {@link TicketSecrets} are made of. */
interface TicketSecretsSettings {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Absent where this node stands alone: its secrets are then random and only in its memory. */
  readonly store: TicketStore | undefined;
}

/**
 * The secrets behind a node's session tickets. Time is cut into slots of four hours since the epoch; each has one
 * random secret, which the first node writes to the store and the others take. It is gone from the store and from
 * every memory soon after its slot, and with it the means to open a recorded resumption (RFC 5077 section 5.5,
 * RFC 9325 section 3.4).
 *
 * While the store is away or holds what this node cannot open, the node makes tickets under a secret of its own:
 * clients that move to another node do a full handshake, and nothing else is lost.
 */
export class TicketSecrets {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #store: TicketStore | undefined;
  readonly #shared = new Map<number, Buffer>();
  readonly #own = new Map<number, Buffer>();
  #inForce: Buffer | undefined;
  #isAlone = false;

  constructor(settings: TicketSecretsSettings) {
    this.#clock = settings.clock;
    this.#logger = settings.logger;
    this.#store = settings.store;
  }

  /**
   * The secret in force now; the same buffer as long as nothing changes. Goes to the store only for what is missing,
   * and never fails: at worst it takes a time-out of the store.
   */
  async refresh(): Promise<Buffer> {
    const now = this.#clock.now();
    const slot = Math.floor(now / TICKET_SLOT_MS);
    for (const kept of [this.#shared, this.#own]) {
      for (const known of kept.keys()) if (known !== slot && known !== slot + 1) kept.delete(known);
    }
    if (this.#store !== undefined) await this.#fetch(this.#store, slot, now);
    this.#inForce = this.#shared.get(slot) ?? this.#ownSecret(slot);
    return this.#inForce;
  }

  /**
   * Tells of every change from the last {@link refresh} on, checking once a second.
   *
   * @param failed learns that `changed` failed; the change is then told once more.
   * @returns a function that stops it.
   */
  follow(changed: (secret: Buffer) => unknown, failed: (error: unknown) => void): () => void {
    let told = this.#inForce;
    const check = async (): Promise<void> => {
      try {
        const secret = await this.refresh();
        if (secret === told) return;
        await changed(secret);
        told = secret;
      } catch (error) {
        failed(error);
      }
    };
    let isChecking = false;
    const timer = setInterval(() => {
      if (isChecking) return;
      isChecking = true;
      void check().finally(() => (isChecking = false));
    }, CHECK_MS).unref();
    return () => clearInterval(timer);
  }

  #ownSecret(slot: number): Buffer {
    const known = this.#own.get(slot);
    if (known !== undefined) return known;
    const made = createTicketSecret();
    this.#own.set(slot, made);
    return made;
  }

  async #fetch(store: TicketStore, slot: number, now: number): Promise<void> {
    const wanted = (slot + 1) * TICKET_SLOT_MS - now <= AHEAD_MS ? [slot, slot + 1] : [slot];
    try {
      for (const each of wanted) {
        if (this.#shared.has(each)) continue;
        // Counted from the slot's end: a secret that is made late does not live longer.
        const lifetimeMs = (each + 1) * TICKET_SLOT_MS - now + AHEAD_MS;
        this.#shared.set(each, await store.claim(each, lifetimeMs));
      }
      if (this.#isAlone) this.#logger.info('session tickets are shared with the other nodes again');
      this.#isAlone = false;
    } catch (error) {
      if (!this.#isAlone) {
        this.#logger.warn('session tickets are not shared with the other nodes for now', { error });
      }
      this.#isAlone = true;
    }
  }
}
