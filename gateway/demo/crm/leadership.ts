import type { Replica } from './replica.ts';

/** What a node says of itself to its peers with every page of its feed. */
export interface PeerStanding {
  readonly region: string;
  readonly epoch: number;
  readonly leads: boolean;
  /** Its counter of writes when the page was made: who has read to the end has everything up to here. */
  readonly through: number;
}

/** A peer as far as the last exchange with it tells. */
export interface KnownPeer {
  readonly isUp: boolean;
  readonly standing: PeerStanding | undefined;
}

/** How long nobody leads before the first of the living takes over, when not all nodes can be seen. */
const ELECTION_MS = 1000;

/**
 * Who of the nodes is primary, and how far this copy is behind it. The first of the living, by name, takes over when
 * nobody leads, and each time the epoch goes up; of two in one epoch the later name steps down. That is no consensus:
 * two halves of a torn network each get a primary, and afterwards the higher epoch stands. It loses nothing here,
 * because the records of all nodes are merged; a CRM whose records are not needs a real election.
 */
export class Leadership {
  readonly #region: string;
  readonly #replica: Replica;
  readonly #now: () => number;
  /** The highest epoch heard of, who leads in it, and the one whose leader this copy has caught up with. */
  #epoch = 0;
  #leader: string | undefined;
  #followedEpoch = 0;
  /** Everything that the leader wrote up to here is in this copy, and was at that time. */
  #covered = 0;
  #inStepMs: number;
  #leaderlessMs: number | undefined;

  constructor(region: string, replica: Replica, now: () => number) {
    this.#region = region;
    this.#replica = replica;
    this.#now = now;
    this.#inStepMs = now();
  }

  get leads(): boolean {
    return this.#leader === this.#region;
  }

  /** What peers are told. */
  get standing(): PeerStanding {
    return {
      region: this.#region,
      epoch: this.#epoch,
      leads: this.leads,
      through: this.#replica.lamport,
    };
  }

  /** The health document that a gateway reads. */
  get document(): Record<string, unknown> {
    const { leads } = this;
    return {
      status: 'ok',
      role: leads ? 'primary' : 'replica',
      epoch: leads ? this.#epoch : this.#followedEpoch,
      position: String(leads ? this.#replica.lamport : this.#covered),
      lag_ms: leads ? 0 : Math.max(0, this.#now() - this.#inStepMs),
    };
  }

  /** The value of `Zasov-Position` for what this node has written; `undefined` where it is no primary. */
  get writePosition(): string | undefined {
    return this.leads ? `${this.#replica.written};epoch=${this.#epoch}` : undefined;
  }

  /** The time by which lag is measured, in ms. */
  now(): number {
    return this.#now();
  }

  /** A peer's feed was read to its end. @param startedMs when the reading began. */
  peerRead(peer: PeerStanding, startedMs: number): void {
    if (peer.epoch > this.#epoch || this.#yieldsTo(peer)) {
      this.#epoch = peer.epoch;
      this.#leader = undefined;
    }
    if (peer.epoch !== this.#epoch) return;
    if (!peer.leads) {
      // It was started again and has forgotten.
      if (this.#leader === peer.region) this.#leader = undefined;
      return;
    }
    if (this.leads) return;
    this.#leader = peer.region;
    this.#followedEpoch = peer.epoch;
    this.#covered = peer.through;
    this.#inStepMs = startedMs;
  }

  /** A peer pushed its writes after one number through another. */
  peerPushed(
    { region, epoch }: Pick<PeerStanding, 'region' | 'epoch'>,
    after: number,
    through: number,
  ): void {
    if (region !== this.#leader || epoch !== this.#followedEpoch || after > this.#covered) return;
    this.#covered = Math.max(this.#covered, through);
    this.#inStepMs = this.#now();
  }

  /** Takes over when nobody leads and it is this node's turn. Called now and then, and after every reading. */
  look(peers: readonly KnownPeer[]): void {
    const living = peers.flatMap(({ isUp, standing }) => (isUp && standing !== undefined ? [standing] : []));
    const isLed =
      this.leads ||
      living.some(({ region, leads, epoch }) => region === this.#leader && leads && epoch === this.#epoch);
    if (isLed) {
      this.#leaderlessMs = undefined;
      return;
    }
    this.#leaderlessMs ??= this.#now();
    if (living.some(({ region }) => region < this.#region)) return;
    const seesAll = peers.length > 0 && living.length === peers.length;
    if (!seesAll && this.#now() - this.#leaderlessMs < ELECTION_MS) return;
    this.#epoch++;
    this.#leader = this.#region;
  }

  #yieldsTo(peer: PeerStanding): boolean {
    return this.leads && peer.leads && peer.epoch === this.#epoch && peer.region < this.#region;
  }
}
