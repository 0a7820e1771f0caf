import {
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity } from 'age-encryption';
import { test } from 'tap';

import type { BackupTarget } from '../../gateway/backup/backup-target.ts';
import { pruneJournal } from '../../gateway/backup/prune-journal.ts';
import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner, signerFingerprint } from '../../gateway/crypto/signing-key.ts';
import * as fc from '../support/property-based.ts';
import { fingerprint, identity, openSite } from './journal-site.ts';

await test('what is revoked, approved or written to the audit trail is away within seconds', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  await site.issue('AAAAAAAAAAAA');
  const writer = site.writer();
  await writer.tick();
  const position = await writer.position();
  t.equal(position.seq, 1, 'a first segment says that there is a journal');
  await site.issue('AAAAAAAAAAAA', 2);
  await site.records.write({ kind: 'proposal', id: 'restore', version: 1, body: Buffer.from('approved') });
  await site.records.write({ kind: 'alarm', id: 'x', version: 1, body: Buffer.from('not kept here') });
  site.setHeads(['head one']);
  site.clock.advance(1000);
  await writer.tick();
  t.equal(writer.lagMs, 0);
  const { versions, found, verdict } = await site.read(position);
  t.same([...versions], [['AAAAAAAAAAAA', 2]]);
  t.same(found, ['proposal restore 1', 'chain-0 head one']);
  t.match(verdict, { intact: true, last_seq: 2, through_ms: site.clock.now(), problems: [] });
  const texts = readdirSync(site.journal).map((name) => readFileSync(join(site.journal, name), 'latin1'));
  t.notOk(
    texts.some((text) => text.includes('approved') || text.includes('AAAAAAAAAAAA')),
    'and nothing in clear',
  );
});

await test('without news a heartbeat comes once a minute, and ends of audit chains gather', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  const writer = site.writer();
  for (let second = 0; second <= 120; second += 1) {
    await writer.tick();
    site.clock.advance(1000);
  }
  t.equal((await writer.position()).seq, 3);
  for (let second = 0; second < 20; second += 1) {
    site.setHeads([`record ${second}`]);
    await writer.tick();
    site.clock.advance(1000);
  }
  const { seq } = await writer.position();
  t.ok(seq <= 8, `20 ends in ${seq - 3} segments`);
  t.match((await site.read()).found.at(-1), /^chain-0 record 1[6-9]$/, 'none is older than five seconds');
});

await test('a target that was away gets everything, in order, when it is back', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  let isAway = false;
  const shaky: BackupTarget = Object.create(site.target, {
    put: {
      value: (...all: Parameters<BackupTarget['put']>) =>
        isAway ? Promise.reject(new GatewayError('backup_failed', 'gone')) : site.target.put(...all),
    },
  }) as BackupTarget;
  const writer = site.writer(true, shaky);
  await writer.tick();
  isAway = true;
  await site.records.write({ kind: 'admin', id: 'list', version: 1, body: Buffer.from('two') });
  for (let index = 0; index < 5; index += 1) {
    await site.issue(`AAAAAAAAAAA${index}`);
    site.clock.advance(48 * 3_600_000);
    await t.rejects(writer.tick(), { message: 'gone' });
  }
  t.ok((writer.lagMs ?? 0) >= 48 * 3_600_000, 'and how far it is behind is known meanwhile');
  isAway = false;
  await writer.tick();
  t.equal(writer.lagMs, 0);
  const { versions, found, verdict } = await site.read();
  t.equal(versions.size, 5);
  t.same(found, ['admin list 1']);
  t.ok(verdict.intact);
});

await test('of two gateways one writes; the other takes over and loses nothing', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  const [one, two] = [site.writer(false), site.writer(false)];
  await one.tick();
  await two.tick();
  t.equal(two.lagMs, undefined, 'it waits');
  await site.issue('AAAAAAAAAAAA');
  // The first one is dead from here on: it does not tick any more.
  for (let second = 0; second < 8; second += 1) {
    site.clock.advance(1000);
    await two.tick();
  }
  t.equal(two.lagMs, undefined, 'as long as it may only be slow');
  site.clock.advance(1000);
  await two.tick();
  await two.tick();
  t.equal(two.lagMs, 0);
  t.equal((await site.read()).versions.get('AAAAAAAAAAAA'), 1, 'what it had not written yet is written');
  // It was only slow after all.
  await site.issue('AAAAAAAAAAAA', 2);
  await one.tick();
  t.equal(one.lagMs, undefined, 'it finds that it was followed');
  await two.tick();
  const { versions, verdict } = await site.read();
  t.equal(versions.get('AAAAAAAAAAAA'), 2);
  t.match(verdict, { intact: true }, 'and what it wrote beside does not count as damage');
});

await test('a gateway that stops lets another one write at once', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  const [one, two] = [site.writer(false), site.writer(false)];
  await one.tick();
  await two.tick();
  t.equal(two.lagMs, undefined);
  await one.close();
  await two.tick();
  t.equal(two.lagMs, 0);
});

await test('a new process goes on where the last one was killed', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  await site.writer().tick();
  await site.issue('AAAAAAAAAAAA');
  await site.issue('BBBBBBBBBBBB');
  await site.writer().tick();
  const { versions, verdict } = await site.read();
  t.equal(versions.size, 2);
  t.ok(verdict.intact);
  t.equal(verdict.last_seq, 2);
});

await test('a journal that nobody wrote, or that ends before the archive, is not intact', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  t.match((await site.read()).verdict, { intact: false, problems: [/no journal/] });
});

await test('segments that no archive needs go, and what is behind them stays whole', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  const writer = site.writer();
  for (let version = 1; version <= 4; version += 1) {
    await site.issue('AAAAAAAAAAAA', version);
    await writer.tick();
  }
  const from = await writer.position();
  await site.issue('BBBBBBBBBBBB');
  await writer.tick();
  await pruneJournal(site.target, from.seq);
  const { versions, verdict } = await site.read(from);
  t.same([...versions.keys()], ['BBBBBBBBBBBB']);
  t.ok(verdict.intact);
  t.equal(readdirSync(site.journal).length, 2);
});

/** Makes one segment what it was not. */
const HARMS: Record<string, (file: (index: number) => string, index: number) => void> = {
  removed: (file, index) => rmSync(file(index)),
  cut: (file, index) => truncateSync(file(index), readFileSync(file(index)).length - 20),
  flipped: (file, index) => {
    const bytes = readFileSync(file(index));
    bytes[bytes.length - 30] = (bytes[bytes.length - 30] ?? 0) ^ 4;
    writeFileSync(file(index), bytes);
  },
  emptied: (file, index) => writeFileSync(file(index), ''),
  swapped: (file, index) => {
    const other = file(index === 2 ? 3 : 2);
    const kept = `${other}.kept`;
    renameSync(file(index), kept);
    renameSync(other, file(index));
    renameSync(kept, other);
  },
  replaced: (file, index) => copyFileSync(file(0), file(index)),
};

await test('any segment that is lost, damaged or moved is seen, and no revoked key lives for it', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  const writer = site.writer();
  for (let version = 1; version <= 6; version += 1) {
    await site.issue('AAAAAAAAAAAA', version);
    if (version === 1) await writer.tick();
    await writer.tick();
  }
  const whole = readdirSync(site.journal).toSorted();
  const originals = new Map(whole.map((name) => [name, readFileSync(join(site.journal, name))]));
  t.ok((await site.read()).verdict.intact);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(HARMS)),
      fc.integer({ min: 1, max: whole.length - 2 }),
      async (harm, index) => {
        HARMS[harm]?.((place) => join(site.journal, whole[place] ?? ''), index);
        const { versions, verdict } = await site.read();
        for (const [name, bytes] of originals) writeFileSync(join(site.journal, name), bytes);
        // What stands for "revoked" is the highest version.
        return !verdict.intact && versions.get('AAAAAAAAAAAA') === 6;
      },
    ),
    { numRuns: 40 },
  );
});

await test('a journal of somebody else, or one that does not open, is not believed', async (t) => {
  const site = openSite();
  t.teardown(site.close);
  await site.issue('AAAAAAAAAAAA');
  await site.writer().tick();
  const other = signerFingerprint(
    createSigner(parseKeyring(createMasterKey()), 'backup-signature').publicKey,
  );
  const strange = await site.read(undefined, { identities: [identity], signer: other });
  t.match(strange.verdict, { intact: false, problems: [/signed by somebody else/] });
  t.equal(strange.versions.size, 0, 'and nothing of it is taken');
  const closed = await site.read(undefined, {
    identities: [await generateX25519Identity()],
    signer: fingerprint,
  });
  t.match(closed.verdict, { intact: false, problems: [/cannot be opened/] });
});
