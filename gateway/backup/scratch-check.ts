import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';

import { GatewayError } from '../core/gateway-error.ts';
import { openEmbeddedCopy } from '../store/embedded-copy.ts';
import { openEmbeddedLoad } from '../store/embedded-load.ts';
import type { StoreLoad } from '../store/store-copy.ts';
import { storeEntries } from './collect-entries.ts';
import { type ReadEntry, readPlainArchive } from './read-archive.ts';
import { inBatches, parseKey, parseRecord, parseTombstone, readJsonLines } from './restore-records.ts';

const BATCH = 500;

/**
 * Restores an archive that is just being written into a store of its own, reads that back and compares it with the
 * manifest, record by record in their order; files and sources are compared by their hashes. Only what the store
 * itself keeps, sealed as it is, reaches the disk, and nothing of it stays.
 *
 * @param plain the tar. @param directory for the store; made, and removed afterwards.
 * @returns how many records came back as they were.
 * @throws GatewayError `backup_invalid` when something does not; `backup_failed` when there is no room.
 */
export async function checkInScratch(plain: AsyncIterable<Uint8Array>, directory: string): Promise<number> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const load = openEmbeddedLoad(directory);
  try {
    await load.begin({ replace: true });
    const { manifest } = await readPlainArchive(plain, undefined, (entry) => loadEntry(entry, load));
    await load.finish();
    const found = await readSections(directory);
    let records = 0;
    for (const section of manifest.sections) {
      const [count, sha256] = found.get(section.name) ?? [0, ''];
      if (count !== section.records || sha256 !== section.sha256)
        throw new GatewayError(
          'backup_invalid',
          `restored for a test, the ${section.name} of the store come back as something else: ${count} of ${section.records} are there, and their hash is ${sha256 === section.sha256 ? 'the same' : 'another'}; the archive was not kept`,
        );
      records += count;
    }
    return records;
  } catch (error) {
    throw explainFull(directory, error);
  } finally {
    await load.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** SQLite says it in these words only. */
function explainFull(directory: string, error: unknown): unknown {
  if (!(error instanceof Error) || !/disk is full|ENOSPC/.test(error.message)) return error;
  const says = `the disk of ${directory} is full, where the archive is restored for a test: make room there`;
  return new GatewayError('backup_failed', says, { cause: error });
}

async function loadEntry({ path, body }: ReadEntry, load: StoreLoad): Promise<void> {
  if (path.startsWith('store/records-'))
    await inBatches(read(body, parseRecord), BATCH, (batch) => load.putRecords(batch));
  else if (path.startsWith('store/keys-'))
    await inBatches(read(body, parseKey), BATCH, (batch) => load.putKeys(batch));
  else if (path.startsWith('store/sessions-'))
    await inBatches(read(body, parseTombstone), BATCH, (batch) => load.putSessions(batch));
}

async function* read<T>(body: AsyncIterable<Uint8Array>, parse: (value: unknown) => T): AsyncGenerator<T> {
  for await (const value of readJsonLines(body)) yield parse(value);
}

/** Number and hash of the records of each kind, as the archive would have them. */
async function readSections(directory: string): Promise<Map<string, [number, string]>> {
  const copy = openEmbeddedCopy(directory);
  try {
    const found = new Map<string, [number, string]>();
    for (const entry of storeEntries(copy)) {
      const digest = createHash('sha256');
      let count = 0;
      for await (const line of entry.open()) {
        digest.update(`${line}\n`);
        count += 1;
      }
      found.set(entry.section, [count, digest.digest('hex')]);
    }
    return found;
  } finally {
    await copy.close();
  }
}
