import { test } from 'tap';

import { Leadership, type PeerStanding } from '../../gateway/demo/crm/leadership.ts';
import { Replica } from '../../gateway/demo/crm/replica.ts';
import { ManualClock } from '../support/manual-clock.ts';

function node(region: string, clock: ManualClock) {
  const replica = new Replica(region);
  return { replica, leadership: new Leadership(region, replica, () => clock.now()) };
}

function up(standing: PeerStanding) {
  return { isUp: true, standing };
}

const GONE = { isUp: false, standing: undefined };
const USER = { login: 'a', name: 'A', isAdmin: false, passwordHash: '', apiKey: '' };

void test('the first of the living leads, and each takeover raises the epoch', (t) => {
  const clock = new ManualClock(0);
  const msk = node('msk', clock).leadership;
  const nsk = node('nsk', clock).leadership;
  nsk.look([up(msk.standing)]);
  t.equal(nsk.leads, false, 'it is the turn of another');
  msk.look([up(nsk.standing)]);
  t.match(msk.document, { role: 'primary', epoch: 1, lag_ms: 0 });
  nsk.peerRead(msk.standing, clock.now());
  nsk.look([up(msk.standing)]);
  t.match(nsk.document, { role: 'replica', epoch: 1, lag_ms: 0 });
  nsk.look([GONE]);
  clock.advance(999);
  nsk.look([GONE]);
  t.equal(nsk.leads, false);
  clock.advance(1);
  nsk.look([GONE]);
  t.match(nsk.document, { role: 'primary', epoch: 2 });
  msk.peerRead(nsk.standing, clock.now());
  t.match(msk.document, { role: 'replica', epoch: 2 }, 'the one before steps down when it hears of it');
  t.end();
});

void test('of two that lead in one epoch the later name steps down', (t) => {
  const clock = new ManualClock(0);
  const [msk, nsk] = [node('msk', clock).leadership, node('nsk', clock).leadership];
  for (const each of [msk, nsk]) each.look([GONE]);
  clock.advance(1000);
  for (const each of [msk, nsk]) each.look([GONE]);
  t.same([msk.leads, nsk.leads], [true, true]);
  msk.peerRead(nsk.standing, 0);
  nsk.peerRead(msk.standing, 0);
  t.same([msk.leads, nsk.leads], [true, false]);
  t.end();
});

void test('a copy names a position only when it holds everything up to it', (t) => {
  const clock = new ManualClock(0);
  const msk = node('msk', clock);
  const nsk = node('nsk', clock);
  msk.leadership.look([up(nsk.leadership.standing)]);
  nsk.leadership.peerRead(msk.leadership.standing, 0);
  msk.replica.put('user', 'acme', 'a', USER);
  t.equal(msk.leadership.writePosition, '1;epoch=1');
  t.match(nsk.leadership.document, { position: '0' });
  nsk.leadership.peerPushed({ region: 'msk', epoch: 1 }, 0, 1);
  t.match(nsk.leadership.document, { position: '1' });
  nsk.leadership.peerPushed({ region: 'msk', epoch: 1 }, 2, 3);
  t.match(nsk.leadership.document, { position: '1' }, 'a push was lost in between');
  nsk.leadership.peerPushed({ region: 'spb', epoch: 1 }, 0, 9);
  nsk.leadership.peerPushed({ region: 'msk', epoch: 0 }, 0, 9);
  t.match(nsk.leadership.document, { position: '1' }, 'not from the one that leads');
  clock.advance(700);
  t.match(nsk.leadership.document, { lag_ms: 700 });
  t.end();
});
