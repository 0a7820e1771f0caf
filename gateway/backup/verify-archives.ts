import { createHash } from 'node:crypto';

import { GatewayError } from '../core/gateway-error.ts';
import type { BackupProgress } from './backup-progress.ts';
import type { BackupTarget } from './backup-target.ts';
import { ARCHIVE_PREFIX, parseArchiveName } from './archive-format.ts';
import { describeOverwritten, overwrittenAt, overwrittenOf } from './overwritten.ts';
import { noteOf } from './target-survey.ts';

/** What an archive at the target was found to be. */
export interface VerifiedArchive {
  readonly archive: string;
  readonly bytes: number;
  /** Why it is not good; absent when it is. */
  readonly problem?: string | undefined;
  /** What somebody did to it or its note in vain; absent when nobody did. */
  readonly warning?: string | undefined;
}

interface Verification {
  readonly target: BackupTarget;
  /** Public keys of this gateway's backups. */
  readonly signers: readonly string[];
  /** One archive; all of them when it is left out. */
  readonly archive: string | undefined;
  readonly signal?: AbortSignal | undefined;
  onProgress(progress: BackupProgress): void;
}

/**
 * Reads archives back, whole, and compares each with the size and hash in its signed note. Says nothing of what is
 * inside, which only an identity opens.
 *
 * @throws GatewayError `backup_failed` when the target cannot be read, or does not have the archive.
 */
export async function verifyArchives(asked: Verification): Promise<VerifiedArchive[]> {
  const { target, archive } = asked;
  const listed = await target.list(archive ?? ARCHIVE_PREFIX);
  const objects = listed.filter(({ name }) =>
    archive === undefined ? parseArchiveName(name) !== undefined : name === archive,
  );
  const overwritten = overwrittenOf(listed);
  if (archive !== undefined && objects.length === 0)
    throw new GatewayError('backup_failed', `there is no archive ${archive} in ${target.where}`);
  const totalBytes = objects.reduce((sum, { bytes }) => sum + bytes, 0);
  const results: VerifiedArchive[] = [];
  let before = 0;
  for (const { name, bytes } of objects) {
    const start = before;
    const problem = await problemOf(asked, name, (read) =>
      asked.onProgress({ phase: 'reading back', bytes: start + read, totalBytes }),
    );
    const warning = overwrittenAt(name, overwritten)
      .map((each) => describeOverwritten(each))
      .join('; ');
    results.push({
      archive: name,
      bytes,
      ...(problem === undefined ? {} : { problem }),
      ...(warning === '' ? {} : { warning }),
    });
    before += bytes;
  }
  return results;
}

async function problemOf(
  { target, signers, signal }: Verification,
  name: string,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const note = await noteOf(target, name).catch(() => undefined);
  if (note === undefined) return 'it has no note that holds: it was never finished, or its note was changed';
  if (!signers.includes(note.signer)) return 'its note is signed with a key that is not this gateway’s';
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of target.read(name, signal === undefined ? {} : { signal })) {
    hash.update(chunk);
    bytes += chunk.length;
    onBytes(bytes);
  }
  if (bytes !== note.bytes) return `it has ${bytes} bytes and its note says ${note.bytes}`;
  return hash.digest('hex') === note.sha256 ? undefined : 'its bytes are not those that were written';
}
