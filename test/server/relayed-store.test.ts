import { join } from 'node:path';
import { type Test, test } from 'tap';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { ProcessLink } from '../../gateway/server/process-link.ts';
import { RelayedStore } from '../../gateway/server/relayed-store.ts';
import type { SupervisorCalls, WorkerCalls } from '../../gateway/server/worker-calls.ts';
import type { Worker } from '../../gateway/server/worker-pool.ts';
import { RelayHub, WorkerRelay } from '../../gateway/server/worker-relay.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { createSessionService } from '../../gateway/session/session-service.ts';
import { SESSION_COOKIE, type SessionService, type Verdict } from '../../gateway/session/session.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import { FIREFOX, SETTINGS } from '../session/session-bench.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { processPair } from './process-pair.ts';

/** A session service as one worker has it, on a file that it shares with the others. */
interface Member {
  readonly service: SessionService;
  readonly relay: WorkerRelay;
  /** How often the store was asked. */
  trips: number;
}

/** A supervisor and two workers, with real channels' behaviour but in one process. */
function twoWorkers(t: Test): { members: [Member, Member]; clock: ManualClock; monotonic: ManualClock } {
  const path = join(t.testdir({}), 'sessions.db');
  const keyring = parseKeyring(createMasterKey());
  const clock = new ManualClock();
  const monotonic = new ManualClock(0);
  const workers: Worker[] = [];
  const hub = new RelayHub(() => workers);
  const member = (): Member => {
    const { ends } = processPair();
    let relay: WorkerRelay | undefined;
    const theirs = new ProcessLink<SupervisorCalls, Pick<WorkerCalls, 'news'>>(ends[1], {
      news: (news) => {
        relay?.tell(news);
        return true;
      },
    });
    relay = new WorkerRelay(theirs, () => monotonic.now());
    const worker: Worker = {
      pid: workers.length,
      isReady: true,
      report: undefined,
      kill: () => undefined,
      link: new ProcessLink<WorkerCalls, SupervisorCalls>(ends[0], {
        news: async (news) => {
          await hub.pass(news, worker);
          return true;
        },
        anonymous: () => true,
      }),
    };
    workers.push(worker);
    const store = openEmbeddedStore(path, familyTransitions, clock);
    t.teardown(() => store.close());
    const made: Member = {
      relay,
      trips: 0,
      service: createSessionService({
        store: new RelayedStore(store, relay),
        keyring,
        clock,
        settings: SETTINGS,
        observer: {
          rotated: () => undefined,
          graceHit: () => undefined,
          theft: () => undefined,
          ended: () => undefined,
          storeSeconds: () => (made.trips += 1),
        },
      }),
    };
    return made;
  };
  return { members: [member(), member()], clock, monotonic };
}

async function begin(member: Member): Promise<string> {
  const { setCookie } = await member.service.begin({
    account: 'acme',
    subject: 'anna',
    context: FIREFOX,
    setCookies: [],
    replaces: undefined,
  });
  return tokenOf(setCookie);
}

function tokenOf(setCookie: string): string {
  return setCookie.slice(SESSION_COOKIE.length + 1, setCookie.indexOf(';'));
}

async function live(member: Member, token: string): Promise<Verdict & { kind: 'live' }> {
  const verdict = await member.service.authenticate(token, FIREFOX, false);
  if (verdict.kind !== 'live') throw new Error(`the verdict is ${verdict.kind}`);
  return verdict;
}

await test('what one worker ends is over on the other before the call returns, streams included', async (t) => {
  const { members } = twoWorkers(t);
  const [one, other] = members;
  const token = await begin(one);
  const { session } = await live(other, token);
  const closed: string[] = [];
  other.service.attach(session, { close: (reason) => closed.push(reason) });
  await one.service.endById(session.id, 'revoked');
  t.strictSame(closed, ['revoked']);
  t.equal(session.ended, 'revoked', 'requests that wait for the application see it too');
  t.match(await other.service.authenticate(token, FIREFOX, false), { kind: 'ended', reason: 'revoked' });
});

await test('a cookie that the application set through one worker is sent by the other with the very next request', async (t) => {
  const { members } = twoWorkers(t);
  const [one, other] = members;
  const token = await begin(one);
  const first = await live(one, token);
  t.equal((await live(other, token)).session.jarHeader('/'), '');
  const cookie = { name: 'PHPSESSID', value: 'new', path: '/', expiresAtMs: undefined };
  t.equal(await one.service.storeCookies(first.session, first.session.jarVersion, [cookie]), true);
  t.equal((await live(other, token)).session.jarHeader('/'), 'PHPSESSID=new');
});

await test('an id that one worker superseded is judged by the store on the other, not by its memory', async (t) => {
  const { members, clock } = twoWorkers(t);
  const [one, other] = members;
  const old = await begin(one);
  await live(other, old);
  clock.advance(SETTINGS.rotateEveryMs);
  const due = await live(one, old);
  const next = tokenOf((await one.service.rotate(due)) ?? '');
  t.equal((await live(one, next)).token, next, 'the new one is adopted');
  await new Promise((resolve) => setTimeout(resolve, 20));
  clock.advance(SETTINGS.graceMs + 1);
  t.match(await other.service.authenticate(old, FIREFOX, false), { kind: 'ended', reason: 'reuse' });
  t.match(await one.service.authenticate(next, FIREFOX, false), { kind: 'ended', reason: 'reuse' });
});

await test('in the steady state no worker asks the store, and while the supervisor is silent every request does', async (t) => {
  const { members, monotonic } = twoWorkers(t);
  const [one, other] = members;
  const token = await begin(one);
  await live(one, token);
  await live(other, token);
  for (const member of members) member.trips = 0;
  for (let round = 0; round < 50; round += 1) for (const member of members) await live(member, token);
  t.equal(one.trips + other.trips, 0);
  monotonic.advance(1000);
  await live(other, token);
  t.ok(other.trips > 0, 'nothing is decided from memory when news may be on its way');
  other.relay.beat();
  other.trips = 0;
  await live(other, token);
  t.equal(other.trips, 0);
});
