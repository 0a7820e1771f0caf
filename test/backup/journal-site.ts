import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';

import { openDirectoryTarget } from '../../gateway/backup/directory-target.ts';
import type { BackupTarget } from '../../gateway/backup/backup-target.ts';
import { journalAfterRestore } from '../../gateway/backup/journal-place.ts';
import { readJournal } from '../../gateway/backup/journal-reader.ts';
import { JournalWriter } from '../../gateway/backup/journal-writer.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSealedBox } from '../../gateway/crypto/sealed-box.ts';
import { createSigner, signerFingerprint } from '../../gateway/crypto/signing-key.ts';
import { openEmbeddedKeys } from '../../gateway/store/embedded-keys.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

export const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const keyring = parseKeyring(createMasterKey());
const signer = createSigner(keyring, 'backup-signature');
export const fingerprint = signerFingerprint(signer.publicKey);

/** A store, a target, and a clock that stands still. */
export function openSite() {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'away'));
  const clock = new ManualClock(1_800_000_000_000);
  const keys = openEmbeddedKeys(join(directory, 'keys.db'));
  const records = openEmbeddedRecords(join(directory, 'records.db'));
  const target = openDirectoryTarget(join(directory, 'away'), { clock });
  let heads: { name: string; text: string }[] = [];
  const writer = (isAlone = true, to: BackupTarget = target): JournalWriter =>
    new JournalWriter({
      target: to,
      recipients: [recipient],
      signer,
      keys,
      records,
      clock,
      box: createSealedBox(keyring, 'backup-lease'),
      isAlone,
      heads: async () => heads,
    });
  const read = async (
    from = { seq: 0, hash: '' },
    with_ = { identities: [identity], signer: fingerprint },
  ) => {
    const reading = readJournal({ target, from, ...with_ });
    const versions = new Map<string, number>();
    const found: string[] = [];
    for await (const segment of reading.segments()) {
      for (const { lineage, version } of segment.keys)
        versions.set(lineage, Math.max(version, versions.get(lineage) ?? 0));
      found.push(...segment.records.map(({ kind, id, version }) => `${kind} ${id} ${version}`));
      found.push(...segment.audit.map(({ name, text }) => `${name} ${text}`));
    }
    return { versions, found, verdict: reading.verdict() };
  };
  /** What a restore leaves: the record of where the journal goes on, or none. */
  const restore = async (end?: { seq: number; hash: string }) => {
    const old = await records.read('lease', 'backup-journal');
    await records.forget('lease', 'backup-journal', old?.version ?? 0);
    if (end === undefined) return;
    const cursor = (await keys.changes(undefined)).cursor;
    const made = { cursor, throughMs: clock.now(), nowMs: 1 };
    await records.write(journalAfterRestore(createSealedBox(keyring, 'backup-lease'), end, made));
  };
  const issue = (lineage: string, version = 1) =>
    keys.write({ lineage, version, person: 'vera', dueMs: 1, body: Buffer.from(`${lineage} ${version}`) });
  return {
    directory,
    journal: join(directory, 'away', 'journal'),
    clock,
    keys,
    records,
    target,
    writer,
    read,
    issue,
    restore,
    setHeads: (texts: string[]) => (heads = texts.map((text, index) => ({ name: `chain-${index}`, text }))),
    close: () => {
      keys.close();
      records.close();
    },
  };
}
