/** What a process may answer from memory while other nodes change the same sessions. */
import { test } from 'tap';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { createSessionService } from '../../gateway/session/session-service.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import type { SessionStore, StaleListener } from '../../gateway/store/session-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { FIREFOX, SETTINGS } from './session-bench.ts';

/** A signed-in person on a real store whose way for pushes the test opens and closes. */
async function signedIn() {
  const clock = new ManualClock();
  const store = openEmbeddedStore(':memory:', familyTransitions, clock);
  const way = { isOpen: true, trips: 0, tell: (() => undefined) as StaleListener };
  const shared = new Proxy<SessionStore>(store, {
    get(target, name: keyof SessionStore) {
      if (name === 'push')
        return {
          isAlive: () => way.isOpen,
          onStale: (listener: StaleListener) => {
            way.tell = listener;
            return () => undefined;
          },
        };
      if (name === 'use') way.trips += 1;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
  const observer = {
    rotated: () => undefined,
    graceHit: () => undefined,
    theft: () => undefined,
    ended: () => undefined,
    storeSeconds: () => undefined,
  };
  const keyring = parseKeyring(createMasterKey());
  const service = createSessionService({ store: shared, keyring, clock, settings: SETTINGS, observer });
  const begin = { account: 'acme', subject: 'anna', context: FIREFOX, setCookies: [], replaces: undefined };
  const { session, setCookie } = await service.begin(begin);
  const token = /=([^;]+)/.exec(setCookie)?.[1] ?? '';
  const tripsOf = async (requests: number): Promise<number> => {
    const before = way.trips;
    for (let count = 0; count < requests; count += 1) {
      const verdict = await service.authenticate(token, FIREFOX, false);
      if (verdict.kind !== 'live') throw new Error(verdict.kind);
    }
    return way.trips - before;
  };
  return { clock, way, tripsOf, session };
}

void test('while pushes arrive, memory answers for 15 seconds at a time', async (t) => {
  const { clock, tripsOf } = await signedIn();
  t.equal(await tripsOf(5), 0);
  clock.advance(15_000);
  t.equal(await tripsOf(5), 1);
});

void test('while pushes may be lost, every request asks the store', async (t) => {
  const { way, tripsOf } = await signedIn();
  way.isOpen = false;
  t.equal(await tripsOf(5), 5);
  way.isOpen = true;
  t.equal(await tripsOf(5), 0);
});

void test('a change on another node makes the copy old, and a break in the pushes makes all old', async (t) => {
  const { way, tripsOf, session } = await signedIn();
  way.tell('somebody else');
  t.equal(await tripsOf(5), 0);
  way.tell(session.id);
  t.equal(await tripsOf(5), 1);
  way.tell(undefined);
  t.equal(await tripsOf(5), 1);
});
