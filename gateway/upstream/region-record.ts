import { hash } from 'node:crypto';

import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox, sealedUnder } from '../crypto/sealed-box.ts';
import { isRegionCause, type RegionCauses } from './region-state.ts';

/** A change that was taken up, and until when a repetition of it must be known again (ms since the epoch). */
export type SeenChange = readonly [id: string, untilMs: number];

/** What the store holds of one region. */
export interface RegionFacts {
  /** Goes up by one with every change, also across stores: an older one that comes back is known by it. */
  readonly revision: number;
  readonly causes: RegionCauses;
  readonly seen: readonly SeenChange[];
}

/** What is known of a region of which nobody has said anything. */
export const NOTHING_KNOWN: RegionFacts = { revision: 0, causes: [], seen: [] };

/** Seals what the store holds of regions, and opens it again. */
export interface RegionSeal {
  seal(region: string, facts: RegionFacts): Buffer;
  /** @returns facts with the cause `unreadable` when it was changed, is another region's, or no key opens it. */
  open(region: string, body: Uint8Array): RegionFacts;
  /** Whether it is sealed under a former master key, and lost when that one is retired. */
  isOld(body: Uint8Array): boolean;
}

/** Makes the seal of records; whoever lacks the master key can neither write one nor read it. */
export function createRegionSeal(keyring: Keyring): RegionSeal {
  const box = createSealedBox(keyring, 'region-condition');
  return {
    isOld: (body) => sealedUnder(body) !== keyring.currentKid,
    seal: (region, facts) => box.seal(Buffer.from(JSON.stringify(facts)), region),
    open(region, body) {
      const plain = box.open(body, region);
      const facts = plain === undefined ? undefined : readFacts(JSON.parse(plain.toString()));
      return facts ?? { ...NOTHING_KNOWN, causes: ['unreadable'] };
    },
  };
}

/** Reads facts out of JSON. @returns `undefined` when they have another shape, as of a later version. */
export function readFacts(value: unknown): RegionFacts | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { revision, causes, seen } = value as Partial<Record<keyof RegionFacts, unknown>>;
  if (typeof revision !== 'number' || !Array.isArray(causes) || !causes.every(isRegionCause))
    return undefined;
  return { revision, causes, seen: Array.isArray(seen) ? (seen as SeenChange[]) : [] };
}

/** The short form under which a change is remembered; a sender's id may be as long as it likes. */
export function changeId(origin: string, id: string): string {
  return hash('sha256', `${origin}\n${id}`, 'base64url').slice(0, 22);
}

/** Whether a change is among those that were taken up. */
export function hasSeen(seen: readonly SeenChange[], id: string): boolean {
  return seen.some(([each]) => each === id);
}
