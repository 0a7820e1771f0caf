import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Test, test } from 'tap';

import { archiveName, newArchiveId } from '../../gateway/backup/archive-format.ts';
import { noteName, writeNote } from '../../gateway/backup/archive-note.ts';
import { openDirectoryTarget } from '../../gateway/backup/directory-target.ts';
import { drillText } from '../../gateway/backup/drill-report.ts';
import { readLastDrill, surveyTarget } from '../../gateway/backup/target-survey.ts';
import { verifyArchives } from '../../gateway/backup/verify-archives.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner, type Signer } from '../../gateway/crypto/signing-key.ts';
import { ManualClock } from '../support/manual-clock.ts';

const newSigner = () => createSigner(parseKeyring(createMasterKey()), 'backup-signature');
const ours = newSigner();
const other = newSigner();
const createdMs = Date.UTC(2026, 10, 26, 3);
const signers = [ours.publicKey];

async function* once(text: string) {
  yield Buffer.from(text);
}

function target(t: Test) {
  const directory = t.testdir();
  const opened = openDirectoryTarget(directory, { clock: new ManualClock() });
  const put = async (signer: Signer | undefined, text = 'the archive', offsetMs = 0) => {
    const id = newArchiveId();
    const archive = archiveName({ kind: 'fleet', id, createdMs: createdMs + offsetMs });
    const written = await opened.put(archive, once(text));
    const journal = { seq: 1, hash: '' };
    const facts = {
      archive,
      id,
      kind: 'fleet',
      created_ms: createdMs,
      node: 'n',
      journal,
      ...written,
    } as const;
    if (signer !== undefined) await opened.put(noteName(archive), once(writeNote(facts, signer)));
    return archive;
  };
  const drill = async (signer: Signer, archive: string, at_ms: number, changes = {}) => {
    const report = { format: 1, archive, sha256: 'ab', at_ms, took_ms: 4200, signer: signer.publicKey };
    const signature = signer.sign(drillText(report));
    const text = JSON.stringify({ ...report, signature, ...changes });
    await opened.put(`drills/${archive.replace('.age', '')}-${newArchiveId()}.json`, once(text));
  };
  return { directory, opened, put, drill };
}

await test('a survey tells our archives from those of others and from unfinished ones', async (t) => {
  const { opened, put } = target(t);
  const good = await put(ours);
  const foreign = await put(other, 'the archive', 1000);
  const unfinished = await put(undefined, 'the archive', 2000);
  const { archives, held } = await surveyTarget(opened, signers);
  t.match(archives, [
    { archive: good, kind: 'fleet', bytes: 11, signed: 'ours', created_at: '2026-11-26T03:00:00.000Z' },
    { archive: foreign, signed: 'other' },
    { archive: unfinished, signed: 'no', drilled_at: null },
  ]);
  t.same(
    held.map(({ isGood }) => isGood),
    [true, false, false],
    'retention counts ours alone',
  );
});

await test('only drills that a key of ours has signed are counted', async (t) => {
  const { opened, put, drill } = target(t);
  t.equal(await readLastDrill(opened, signers), undefined);
  const archive = await put(ours);
  await drill(ours, archive, createdMs + 5);
  await drill(ours, archive, createdMs + 1);
  await drill(other, archive, createdMs + 50);
  await drill(ours, archive, createdMs + 60, { at_ms: createdMs + 99 });
  t.match(await readLastDrill(opened, signers), { at_ms: createdMs + 5, took_ms: 4200 });
  t.match((await surveyTarget(opened, signers)).archives, [{ drilled_at: '2026-11-26T03:00:00.005Z' }]);
});

await test('a verification reads every byte and says which archive is not as it was written', async (t) => {
  const { directory, opened, put } = target(t);
  const good = await put(ours);
  const flipped = await put(ours, 'the archive', 1000);
  const cut = await put(ours, 'the archive', 2000);
  const foreign = await put(other, 'the archive', 3000);
  const unfinished = await put(undefined, 'the archive', 4000);
  writeFileSync(join(directory, flipped), 'the arcHive');
  writeFileSync(join(directory, cut), 'the arch');
  const seen: number[] = [];
  const onProgress = ({ bytes }: { bytes: number }) => seen.push(bytes);
  const results = await verifyArchives({ target: opened, signers, archive: undefined, onProgress });
  t.match(results, [
    { archive: good, problem: undefined },
    { archive: flipped, problem: /not those that were written/ },
    { archive: cut, problem: /8 bytes and its note says 11/ },
    { archive: foreign, problem: /not this gateway/ },
    { archive: unfinished, problem: /never finished/ },
  ]);
  t.ok(seen.length >= 3);
  t.match(await verifyArchives({ target: opened, signers, archive: good, onProgress }), [{ archive: good }]);
  await t.rejects(verifyArchives({ target: opened, signers, archive: `${good}x`, onProgress }), {
    code: 'backup_failed',
  });
});
