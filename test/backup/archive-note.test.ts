import { test } from 'tap';

import {
  ARCHIVE_PREFIX,
  type ArchiveHead,
  archiveName,
  newArchiveId,
  parseArchiveName,
} from '../../gateway/backup/archive-format.ts';
import { NOTE_BYTES, noteName, readNote, writeNote } from '../../gateway/backup/archive-note.ts';
import { isTargetName } from '../../gateway/backup/backup-target.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSigner } from '../../gateway/crypto/signing-key.ts';

const createdMs = Date.UTC(2026, 10, 26, 3, 0, 7);
const name = archiveName({ kind: 'fleet', id: 'k3j5q2ab', createdMs });
const signer = createSigner(parseKeyring(createMasterKey()), 'backup-signature');
const HEAD: ArchiveHead = {
  format: 1,
  id: 'k3j5q2ab',
  kind: 'fleet',
  created_ms: createdMs,
  version: '0.1.0',
  node: '0a1b2c3d',
  journal: { seq: 3, hash: 'cd'.repeat(32) },
  signer: signer.publicKey,
  kids: ['1'],
};
const { id, kind, node, journal } = HEAD;
const FACTS = {
  archive: name,
  id,
  kind,
  node,
  journal,
  created_ms: createdMs,
  bytes: 7,
  sha256: 'ab'.repeat(32),
};

await test('the name of an archive says when it was made, of what, and is a name at a target', async (t) => {
  t.equal(name, 'zasov-20261126T030007Z-fleet-k3j5q2ab.age');
  t.ok(name.startsWith(ARCHIVE_PREFIX));
  t.same(parseArchiveName(name), { name, kind: 'fleet', id: 'k3j5q2ab', createdMs });
  t.equal(isTargetName(archiveName({ kind: 'node', id: newArchiveId(), createdMs })), true);
  for (const other of [`${name}.json`, `journal/${name}`, name.replace('fleet', 'other'), `.${name}.partial`])
    t.equal(parseArchiveName(other), undefined, other);
});

await test('a note is read as it was signed', async (t) => {
  t.equal(isTargetName(noteName(name)), true);
  t.ok(writeNote(FACTS, signer).length < NOTE_BYTES);
  t.same(readNote(name, writeNote(FACTS, signer)), { format: 1, ...FACTS, signer: signer.publicKey });
});

await test('a note that was changed, or that is of another archive, says nothing', async (t) => {
  const text = writeNote(FACTS, signer);
  const stranger = createSigner(parseKeyring(createMasterKey()), 'backup-signature');
  const bad = [
    text.replace('"bytes": 7', '"bytes": 8'),
    text.replace('k3j5q2ab"', 'aaaaaaaa"'),
    text.replace(signer.publicKey, stranger.publicKey),
    text.slice(0, -5),
    '[]',
    'null',
    '{}',
    '',
  ];
  for (const each of bad) t.equal(readNote(name, each), undefined, each.slice(0, 40));
  t.equal(readNote(name.replace('k3', 'k4'), text), undefined);
});
