/** What a journal is worth where a restore lies in it. */
import { test } from 'tap';

import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { openSite } from './journal-site.ts';

await test('an archive that knows nothing of a chain is not misled by one from before a restore', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  const before = site.writer();
  await before.tick();
  for (let version = 1; version < 6; version += 1) {
    await site.issue('AAAAAAAAAAAA', version);
    await before.tick();
  }
  // A restore leaves the record out, and the chain begins anew beside the old one.
  await site.restore();
  const after = site.writer();
  await after.tick();
  const position = await after.position();
  await site.issue('BBBBBBBBBBBB');
  await after.tick();
  const { versions, verdict } = await site.read(position);
  t.same([...versions.keys()], ['BBBBBBBBBBBB']);
  t.match(verdict, { intact: true, problems: [] });
});

await test('a restored state goes on with its journal: an archive of before is followed by both lives', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  await site.writer().tick();
  await site.issue('AAAAAAAAAAAA');
  await site.issue('AAAAAAAAAAAA', 2);
  await site.writer().tick();
  const { verdict: first } = await site.read();
  await site.restore({ seq: first.last_seq, hash: first.last_hash });
  site.clock.advance(60_000);
  await site.issue('BBBBBBBBBBBB');
  // The target is away at first, and nothing is lost for it.
  const away = { ...site.target, put: () => Promise.reject(new GatewayError('backup_failed', 'gone')) };
  await t.rejects(site.writer(false, away).tick(), { message: 'gone' });
  const after = site.writer();
  await after.tick();
  const position = await after.position();
  await site.issue('AAAAAAAAAAAA', 3);
  await after.tick();
  const { versions, verdict } = await site.read();
  t.same(
    [...versions],
    [
      ['AAAAAAAAAAAA', 3],
      ['BBBBBBBBBBBB', 1],
    ],
  );
  t.match(verdict, { intact: true, last_seq: 4, through_ms: site.clock.now() });
  t.match(await site.read(position), { verdict: { intact: true, last_seq: 4 } }, 'one of after it too');
});

await test('after a restore without all of the journal an archive of before is not taken for whole, and nothing that was revoked since lives', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  await site.writer().tick();
  await site.issue('AAAAAAAAAAAA');
  await site.writer().tick();
  await site.restore({ seq: 2, hash: 'ab'.repeat(32) });
  site.clock.advance(60_000);
  await site.issue('AAAAAAAAAAAA', 2);
  const after = site.writer();
  await after.tick();
  const { versions, verdict } = await site.read();
  t.equal(versions.get('AAAAAAAAAAAA'), 2);
  t.match(verdict, { intact: false, problems: [/another restore began later/] });
  await site.issue('AAAAAAAAAAAA', 3);
  const position = await after.position();
  await after.tick();
  t.match(await site.read(position), { verdict: { intact: true } }, 'one of after it is followed');
});
