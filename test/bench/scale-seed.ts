import { systemClock } from '../../gateway/core/clock.ts';
import { parseKeyring } from '../../gateway/crypto/keyring.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { createSessionService } from '../../gateway/session/session-service.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import type { SessionStore } from '../../gateway/store/session-store.ts';
import { FETCH_HEADERS } from './browser-request.ts';
import { CookieJar } from './cookie-jar.ts';

/** A store that is to be filled: a Redis URL, or a file of the embedded store. */
export type SeededPlace = { readonly redis: string } | { readonly file: string };

/** How many sessions are begun at once; more would only wait for the store. */
const LANES = 256;

const SETTINGS = {
  rotateEveryMs: 60_000,
  graceMs: 20_000,
  idleMs: 1_800_000,
  crashGrace: true,
  lifetimeMs: 12 * 3_600_000,
  perSubject: 10,
  bind: { userAgent: true, network: false },
  anonymous: { lifetimeMs: 1_800_000 },
};

const SILENT = {
  rotated: () => undefined,
  graceHit: () => undefined,
  theft: () => undefined,
  ended: () => undefined,
  storeSeconds: () => undefined,
};

/**
 * Fills a store with signed-in sessions through the gateway's own session service, each of another person, with one
 * vaulted cookie and a browser's context.
 *
 * @param kept how many of them, evenly spread, are given back as browsers that may present them.
 */
export async function seedSessions(
  place: SeededPlace,
  masterKey: string,
  count: number,
  kept: number,
): Promise<CookieJar[]> {
  const store: SessionStore =
    'redis' in place
      ? await openRedisStore({ place: { kind: 'single', url: place.redis } })
      : openEmbeddedStore(place.file, familyTransitions, systemClock);
  const sessions = createSessionService({
    store,
    keyring: parseKeyring(masterKey),
    clock: systemClock,
    settings: SETTINGS,
    observer: SILENT,
    familyLimit: 1000,
  });
  const userAgent = FETCH_HEADERS.find(([name]) => name === 'user-agent')?.[1] ?? '';
  const jars: CookieJar[] = [];
  const every = Math.floor(count / kept);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const number = next++;
      const { setCookie } = await sessions.begin({
        account: 'main',
        subject: `person-${number}`,
        context: { userAgent, clientAddress: '127.0.0.1' },
        setCookies: [
          {
            name: 'CRMSESSID',
            value: `upstream-${number}-0123456789abcdef`,
            path: '/',
            expiresAtMs: undefined,
          },
        ],
        replaces: undefined,
      });
      if (number % every !== 0 || jars.length >= kept) continue;
      const jar = new CookieJar();
      jar.adopt(setCookie);
      jars.push(jar);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await sessions.close();
  await store.close();
  return jars;
}
