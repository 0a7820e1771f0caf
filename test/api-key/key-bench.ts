import type { KeyObserver, KeyService, KeySettings } from '../../gateway/api-key/api-key.ts';
import { createKeyService } from '../../gateway/api-key/key-service.ts';
import { KeyVault } from '../../gateway/api-key/key-vault.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { type EmbeddedKeyStore, openEmbeddedKeys } from '../../gateway/store/embedded-keys.ts';
import type { KeyStore } from '../../gateway/store/key-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

export const DAY_MS = 86_400_000;
export const CLIENT = { clientAddress: '192.0.2.7', userAgent: 'integration/1.0' };

const SETTINGS: KeySettings = {
  prefix: 'zsv',
  maxAge: { months: 6 },
  overlapMs: 0,
  warnBeforeMs: [30 * DAY_MS, 14 * DAY_MS, 7 * DAY_MS, DAY_MS],
  rotateOn: { age: true, credentialChange: true },
  acceptsImported: false,
  hasWebhook: false,
};

/** What the observer heard, in order: `rotated age`, `warned 30`, `rejected key_unknown`, `replayed key_rotated`. */
type Heard = string[];

/** A key service on an embedded store whose reads are counted. */
export interface KeyBench {
  readonly keys: KeyService;
  readonly store: EmbeddedKeyStore;
  readonly clock: ManualClock;
  readonly heard: Heard;
  /** Reads of the store so far. */
  readonly reads: () => number;
  /** Another node on the same file. */
  another(settings?: Partial<KeySettings>): KeyBench;
}

const masterKey = createMasterKey();

/** Opens and seals what the services here wrote. */
export function benchVault(): KeyVault {
  return new KeyVault(parseKeyring(masterKey));
}

export function openKeyBench(
  path: string,
  settings: Partial<KeySettings> = {},
  clock?: ManualClock,
): KeyBench {
  const time = clock ?? new ManualClock(Date.UTC(2026, 10, 24));
  const store = openEmbeddedKeys(path);
  let reads = 0;
  const counted: KeyStore = new Proxy(store, {
    get: (target, name) => {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return (...parameters: unknown[]) => {
        if (name === 'read') reads += 1;
        return (value as (...rest: unknown[]) => unknown).apply(target, parameters);
      };
    },
  });
  const heard: Heard = [];
  const observer: KeyObserver = {
    rejected: (code) => void (heard.length < 10_000 && heard.push(`rejected ${code}`)),
    replayed: ({ code }) => heard.push(`replayed ${code}`),
    rotated: (reason) => heard.push(`rotated ${reason}`),
    warned: ({ daysLeft }) => heard.push(`warned ${daysLeft}`),
    storeSeconds: () => undefined,
  };
  const keys = createKeyService({
    store: counted,
    keyring: parseKeyring(masterKey),
    clock: time,
    settings: { ...SETTINGS, ...settings },
    observer,
  });
  return {
    keys,
    store,
    clock: time,
    heard,
    reads: () => reads,
    another: (others = {}) => openKeyBench(path, { ...settings, ...others }, time),
  };
}

/** `live`, or the code of the refusal. */
export async function verdictOf(keys: KeyService, text: string): Promise<string> {
  const verdict = await keys.verify(text, CLIENT);
  return verdict.kind === 'live' ? 'live' : verdict.code;
}
