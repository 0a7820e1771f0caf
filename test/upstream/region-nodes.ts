import { join } from 'node:path';

import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { createMasterKey, type Keyring, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { type EmbeddedRecordStore, openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import type {
  RecordKind,
  RecordListener,
  RecordStore,
  StoredRecord,
} from '../../gateway/store/record-store.ts';
import { SharedConditions } from '../../gateway/upstream/shared-conditions.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

/** A store that a test can take away from one node. */
export class SwitchedRecords implements RecordStore {
  isAway = false;
  readonly #store: RecordStore;

  constructor(store: RecordStore) {
    this.#store = store;
  }

  isFresh(): boolean {
    return !this.isAway && this.#store.isFresh();
  }

  async read(kind: RecordKind, id: string): Promise<StoredRecord | undefined> {
    return await this.#there().read(kind, id);
  }

  async list(kind: RecordKind): Promise<StoredRecord[]> {
    return await this.#there().list(kind);
  }

  async write(record: StoredRecord): Promise<boolean> {
    return await this.#there().write(record);
  }

  async forget(kind: RecordKind, id: string, version: number): Promise<boolean> {
    return await this.#there().forget(kind, id, version);
  }

  onChange(listener: RecordListener): () => void {
    return this.#store.onChange((kind) => {
      if (!this.isAway) listener(kind);
    });
  }

  #there(): RecordStore {
    if (this.isAway) throw new GatewayError('store_unavailable', 'the test took the store away');
    return this.#store;
  }
}

/** One node: its view of a store that several share, and a directory of its own that outlives it. */
export class RegionNode {
  readonly records: SwitchedRecords;
  readonly failures: string[] = [];
  readonly #file: EmbeddedRecordStore;
  readonly #directory = join(temporaryDirectory(), 'regions');
  readonly #keyring: Keyring;
  readonly #clock: ManualClock;
  #conditions: SharedConditions | undefined;

  constructor(path: string, keyring: Keyring, clock: ManualClock) {
    this.#file = openEmbeddedRecords(path);
    this.records = new SwitchedRecords(this.#file);
    this.#keyring = keyring;
    this.#clock = clock;
  }

  get conditions(): SharedConditions {
    if (this.#conditions === undefined) throw new Error('the node does not run');
    return this.#conditions;
  }

  /** Starts the node, or starts it again as after kill -9. */
  async start(): Promise<this> {
    this.#conditions?.close();
    this.#conditions = await SharedConditions.open({
      records: this.records,
      keyring: this.#keyring,
      directory: this.#directory,
      clock: this.#clock,
      failed: (message, error) => this.failures.push(`${message}: ${String(error)}`),
    });
    return this;
  }

  close(): void {
    this.#conditions?.close();
    this.#file.close();
  }
}

/** Two nodes on one store, with one master key. */
export async function twoNodes(): Promise<{
  nodes: [RegionNode, RegionNode];
  clock: ManualClock;
  path: string;
}> {
  const keyring = parseKeyring(createMasterKey());
  const clock = new ManualClock();
  const path = join(temporaryDirectory(), 'records.db');
  const node = async () => await new RegionNode(path, keyring, clock).start();
  return { nodes: [await node(), await node()], clock, path };
}

/** Lets every node do what it does in a few seconds. */
export async function settle(nodes: readonly RegionNode[], clock: ManualClock): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    clock.advance(6000);
    for (const { conditions } of nodes) await conditions.tick();
  }
}
