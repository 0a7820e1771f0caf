import { join } from 'node:path';
import type { SetCookie } from '../../gateway/core/cookie.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { createSessionService } from '../../gateway/session/session-service.ts';
import type {
  ClientContext,
  SessionObserver,
  SessionService,
  Verdict,
} from '../../gateway/session/session.ts';
import { WindowLimit } from '../../gateway/rate-limit/window-limit.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import { openKeyBench } from '../api-key/key-bench.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { scratch } from './children.ts';

/** What one operation of the gateway's own services costs on the embedded store, by itself. */
export interface MicroFigures {
  readonly name: string;
  readonly microseconds: number;
}

const context: ClientContext = {
  userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36',
  clientAddress: '127.0.0.1',
};
const rotateEveryMs = 60_000;
const yearMs = 365 * 86_400_000;
const crmCookie: SetCookie = { name: 'CRMSESSID', value: 'a'.repeat(32), path: '/', expiresAtMs: undefined };

const observer: SessionObserver = {
  rotated: () => undefined,
  graceHit: () => undefined,
  theft: (kind) => {
    throw new Error(`the bench was taken for a thief: ${kind}`);
  },
  ended: () => undefined,
  storeSeconds: () => undefined,
};

const settings = {
  rotateEveryMs,
  graceMs: 20_000,
  idleMs: yearMs,
  lifetimeMs: yearMs,
  crashGrace: false,
  perSubject: 10,
  bind: { userAgent: true, network: false },
  anonymous: { lifetimeMs: 1_800_000 },
};

type Step = () => Promise<void> | void;

async function timed(name: string, count: number, step: Step): Promise<MicroFigures> {
  for (let at = 0; at < count / 4; at += 1) {
    const pending = step();
    if (pending !== undefined) await pending;
  }
  const before = process.cpuUsage();
  for (let at = 0; at < count; at += 1) {
    const pending = step();
    if (pending !== undefined) await pending;
  }
  const { user, system } = process.cpuUsage(before);
  return { name, microseconds: (user + system) / count };
}

async function begin(service: SessionService, subject: string): Promise<string> {
  const request = { account: 'main', subject, context, setCookies: [crmCookie], replaces: undefined };
  return tokenOf((await service.begin(request)).setCookie);
}

function tokenOf(setCookie: string): string {
  return setCookie.slice(setCookie.indexOf('=') + 1, setCookie.indexOf(';'));
}

function live(verdict: Verdict): Verdict & { kind: 'live' } {
  if (verdict.kind !== 'live') throw new Error(`the session is ${verdict.kind}`);
  return verdict;
}

/** Measures the check of a known id, a rotation with the adoption of its successor, and a login. */
export async function microRounds(): Promise<MicroFigures[]> {
  const clock = new ManualClock();
  const store = openEmbeddedStore(join(scratch, 'micro.db'), familyTransitions, clock);
  const keyring = parseKeyring(createMasterKey());
  const service = createSessionService({ store, keyring, clock, settings, observer });
  const known = await begin(service, 'anna');
  // A new string each time, as from a socket: one whose hash is known already would be found for nothing.
  const bytes = Buffer.from(known, 'latin1');
  const check = await timed('session check, id known to this process', 1_000_000, () => {
    const verdict = service.authenticate(bytes.toString('latin1'), context, false);
    if (verdict instanceof Promise) throw new Error('a known id must be answered at once');
    live(verdict).session.jarHeader('/api');
  });
  let token = await begin(service, 'boris');
  const rotation = await timed('rotation and adoption of the new id', 4000, async () => {
    clock.advance(rotateEveryMs + 1);
    const issued = await service.rotate(live(await service.authenticate(token, context, false)));
    if (issued === undefined) throw new Error('a due session must rotate');
    token = tokenOf(issued);
    live(await service.authenticate(token, context, false));
  });
  let persons = 0;
  const login = await timed('login: a new session', 4000, async () => {
    persons += 1;
    await begin(service, `person-${persons}`);
  });
  await service.close();
  await store.close();
  return [check, rotation, login, ...(await keyRounds())];
}

/** Measures the check of a known key, the refusal of texts that are none, and the counting of a request. */
async function keyRounds(): Promise<MicroFigures[]> {
  const { keys, reads, clock } = openKeyBench(join(scratch, 'micro-keys.db'));
  const { key } = await keys.issue({ account: 'main', subject: 'robot' });
  await keys.verify(key, context);
  const bytes = Buffer.from(key, 'latin1');
  const check = await timed('API key check, key known to this process', 1_000_000, () => {
    const verdict = keys.verify(bytes.toString('latin1'), context);
    if (verdict instanceof Promise || verdict.kind !== 'live')
      throw new Error('a known key must be answered at once');
  });
  const before = reads();
  let place = 0;
  const malformed = await timed('API key with a mistake, refused without the store', 10_000_000, () => {
    const text = bytes.toString('latin1');
    place = (place + 1) % text.length;
    const verdict = keys.verify(`${text.slice(0, place)}!${text.slice(place + 1)}`, context);
    if (verdict instanceof Promise) throw new Error('a malformed key must be refused at once');
  });
  if (reads() !== before) throw new Error('the store was asked for a malformed key');
  const limit = new WindowLimit({ name: 'api', count: 1_000_000_000, windowMs: 1000 }, clock);
  const count = await timed('request counted under a limit', 1_000_000, () => {
    limit.take(bytes.toString('latin1', 4, 16));
  });
  await keys.close();
  return [check, malformed, count];
}
