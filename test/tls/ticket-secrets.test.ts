import tap, { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { RedisConnection } from '../../gateway/store/redis-connection.ts';
import { TicketSecrets, TICKET_SLOT_MS } from '../../gateway/tls/ticket-secrets.ts';
import { shareTickets, type TicketStore } from '../../gateway/tls/ticket-store.ts';
import { openLog } from '../observability/open-log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startSingle } from '../support/redis-servers.ts';

const redis = await startSingle();
const keyring = parseKeyring(createMasterKey());
const connection = new RedisConnection(redis.place);
await connection.open();
tap.teardown(async () => {
  connection.close();
  await redis.stop();
});

/** The middle of a slot that no other test uses. */
let slots = 1000;
function nextClock(): ManualClock {
  slots += 100;
  return new ManualClock(slots * TICKET_SLOT_MS + TICKET_SLOT_MS / 2);
}

function node(clock: ManualClock, store: TicketStore | undefined = shareTickets(connection, keyring)) {
  const log = openLog();
  return { secrets: new TicketSecrets({ clock, logger: log.logger, store }), log };
}

await test('nodes on one store make tickets under one secret, and change it at the same moment', async (t) => {
  const clock = nextClock();
  const [one, other] = [node(clock).secrets, node(clock).secrets];
  const first = await one.refresh();
  t.same(await other.refresh(), first);
  t.equal(await one.refresh(), first, 'the same buffer while nothing changes');
  clock.advance(TICKET_SLOT_MS);
  const second = await other.refresh();
  t.notSame(second, first);
  t.same(await one.refresh(), second);
  t.same(await node(clock).secrets.refresh(), second, 'a node that starts later');
});

await test('the next secret is fetched before its time, so that the store may be away at the change', async (t) => {
  const clock = nextClock();
  const known = new Map<number, Buffer>();
  let isAway = false;
  const store: TicketStore = {
    claim: async (slot) => {
      if (isAway) throw new Error('away');
      const secret = known.get(slot) ?? Buffer.alloc(48, slot);
      known.set(slot, secret);
      return await Promise.resolve(secret);
    },
  };
  const { secrets } = node(clock, store);
  await secrets.refresh();
  clock.advance(TICKET_SLOT_MS / 2 - 5 * 60_000);
  await secrets.refresh();
  isAway = true;
  clock.advance(6 * 60_000);
  t.same(await secrets.refresh(), known.get(slots + 1));
});

await test('a secret leaves the store soon after its slot, and stands there sealed', async (t) => {
  const clock = nextClock();
  const secret = await node(clock).secrets.refresh();
  const key = `zasov:1:tls:tickets:{${slots}}`;
  const livesMs = Number(await redis.servers[0]?.command('PTTL', key));
  t.ok(livesMs > TICKET_SLOT_MS / 2 - 60_000 && livesMs <= TICKET_SLOT_MS / 2 + 10 * 60_000, `${livesMs} ms`);
  const stored = await connection.client.getBuffer(key);
  t.equal(stored?.includes(secret), false);
  t.equal(stored?.toString('latin1').includes(secret.toString('base64')), false);
});

await test('a node with another master key, or no store, keeps a secret of its own and says so once', async (t) => {
  const clock = nextClock();
  const shared = await node(clock).secrets.refresh();
  const stranger = node(clock, shareTickets(connection, parseKeyring(createMasterKey())));
  const own = await stranger.secrets.refresh();
  t.notSame(own, shared);
  t.equal(await stranger.secrets.refresh(), own);
  t.equal(stranger.log.lines.length, 1);
  t.match(stranger.log.lines[0], 'not shared');
  const alone = new TicketSecrets({ clock, logger: stranger.log.logger, store: undefined });
  const before = await alone.refresh();
  clock.advance(TICKET_SLOT_MS);
  t.notSame(await alone.refresh(), before, 'it changes as often');
});

await test('a node whose store comes back goes over to the shared secret', async (t) => {
  const clock = nextClock();
  let isAway = true;
  const store = shareTickets(connection, keyring);
  const { secrets, log } = node(clock, {
    claim: async (slot, lifetimeMs) => {
      if (isAway || store === undefined) throw new Error('away');
      return await store.claim(slot, lifetimeMs);
    },
  });
  const own = await secrets.refresh();
  isAway = false;
  const shared = await secrets.refresh();
  t.notSame(shared, own);
  t.same(shared, await node(clock).secrets.refresh());
  t.match(log.lines.at(-1), 'shared with the other nodes again');
});
