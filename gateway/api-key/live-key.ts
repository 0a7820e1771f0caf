import { parseDuration } from '../core/duration.ts';
import { type NetworkList, networkList } from '../core/network.ts';
import type { KeyScope, KeyStream, LiveKey } from './api-key.ts';
import { keyId } from './key-format.ts';
import { type KeyGeneration, type KeyRecord, stopsAtMs } from './key-life.ts';

/** A generation of a key that opens doors, as this process remembers it; see {@link LiveKey}. */
export class RememberedKey implements LiveKey {
  readonly id: string;
  readonly lineage: string;
  readonly generation: number;
  readonly account: string;
  readonly subject: string;
  readonly label: string;
  readonly scope: KeyScope;
  readonly networks: NetworkList | undefined;
  readonly rate: { readonly name: string; readonly count: number; readonly windowMs: number } | undefined;
  readonly expiresAtMs: number;
  readonly warning: { readonly sunset: string; readonly expires: string } | undefined;
  readonly upstreamCredential: string | undefined;
  /** The record's version that this was made from. */
  readonly version: number;
  readonly isLast: boolean;
  stopped = false;
  derived: unknown;
  /** Until when the store need not be asked, in ms. */
  freshUntilMs = 0;
  savedUseMs = 0;
  /** The same answer for every request. */
  readonly verdict: { readonly kind: 'live'; readonly key: LiveKey };
  readonly streams = new Set<KeyStream>();

  /** @param warnFromMs when the first warning period began. */
  constructor(record: KeyRecord, each: KeyGeneration, version: number, warnFromMs: number, nowMs: number) {
    this.id = keyId(record.lineage, each.generation);
    this.lineage = record.lineage;
    this.generation = each.generation;
    this.account = record.account;
    this.subject = record.subject;
    this.label = record.label;
    this.scope = record.scope;
    const { networks, requests } = record.scope;
    this.rate = requests === undefined ? undefined : rateOf(requests);
    this.networks = networks.length === 0 ? undefined : networkList(networks);
    this.expiresAtMs = stopsAtMs(each);
    const end = new Date(this.expiresAtMs);
    this.warning =
      nowMs >= warnFromMs || each.over !== undefined
        ? { sunset: end.toUTCString(), expires: end.toISOString() }
        : undefined;
    this.upstreamCredential = record.upstreamCredential;
    this.version = version;
    this.isLast = each.over === undefined;
    this.verdict = { kind: 'live', key: this };
  }

  /** Ends it here: requests under way see it, streams close. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    for (const stream of this.streams) stream.close();
    this.streams.clear();
  }
}

/** Reads `20/1s`, which was checked when the key was issued. */
function rateOf(text: string): RememberedKey['rate'] {
  const [count = '', window = ''] = text.split('/');
  return { name: 'api_key', count: Number(count), windowMs: parseDuration(window) ?? 1000 };
}
