import { parseArgs } from 'node:util';

import { ARCHIVE_PREFIX, parseArchiveName } from '../backup/archive-format.ts';
import { backupSignerKeys, createBackupSigner } from '../backup/backup-signer.ts';
import type { FinishedBackup } from '../backup/backup-lease.ts';
import type { BackupTarget } from '../backup/backup-target.ts';
import { openTarget } from '../backup/open-target.ts';
import { describeOverwritten } from '../backup/overwritten.ts';
import { type ArchiveView, surveyTarget } from '../backup/target-survey.ts';
import { verifyArchives, type VerifiedArchive } from '../backup/verify-archives.ts';
import { processEnvironment } from '../config/environment.ts';
import { systemClock } from '../core/clock.ts';
import { signerFingerprint } from '../crypto/signing-key.ts';
import { loadPolicy } from '../policy/load-policy.ts';
import { formatMistake } from '../policy/mistake.ts';
import { readMaster } from './audit-place.ts';
import { runDrill } from './backup-drill.ts';
import { refusalOf, sizeText, watchRun } from './backup-watch.ts';
import { callControl } from './control-client.ts';
import { untilInterrupted } from './interrupt.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

const OPTIONS = {
  data: { type: 'string', default: 'var' },
  policies: { type: 'string' },
  'master-key': { type: 'string' },
  identity: { type: 'string' },
  passphrase: { type: 'string' },
  signer: { type: 'string' },
  journal: { type: 'string' },
  scratch: { type: 'string' },
  'with-include': { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const;

/** What `zasov backup --help` shows. */
export const BACKUP_USAGE = `zasov backup now [--data DIR] [--json]
       zasov backup list [--data DIR] [--policies DIR|FILE] [--json]
       zasov backup verify [ARCHIVE] [--data DIR] [--policies DIR|FILE] [--json]
       zasov backup drill ARCHIVE --identity FILE|- [--passphrase file:PATH|env:NAME|credential:NAME]
                   [--signer FINGERPRINT] [--journal DIR] [--scratch DIR] [--with-include NAME]… [--json]
       zasov backup signer [--data DIR] [--policies DIR|FILE | --master-key REF]
       list and verify ask the running gateway, or work by themselves with --policies`;

/** What is left when nobody waits for the gateway any more. */
const GOES_ON = 'the gateway goes on with it; zasov backup list shows what came of it';

interface Flags {
  readonly data: string;
  readonly policies?: string | undefined;
  readonly 'master-key'?: string | undefined;
  readonly json: boolean;
}

/**
 * `zasov backup now|list|verify|drill|signer`.
 *
 * @returns the exit code: 1 when an archive is not good. @throws UsageError; Error with what went wrong.
 */
export async function runBackup(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const [action, archive, ...rest] = positionals;
  const isAlone = archive === undefined && rest.length === 0;
  if (action === 'drill') return await drill(values, archive, rest);
  if (action === 'now' && isAlone) return await backUp(values);
  if (action === 'list' && isAlone) return await list(values);
  if (action === 'verify' && rest.length === 0) return await verify(values, archive);
  if (action === 'signer' && isAlone) return showSigner(values);
  throw new UsageError(BACKUP_USAGE);
}

async function drill(
  flags: Flags & {
    readonly identity?: string | undefined;
    readonly passphrase?: string | undefined;
    readonly 'with-include': readonly string[];
  },
  archive: string | undefined,
  rest: readonly string[],
): Promise<number> {
  if (archive === undefined || rest.length > 0) throw new UsageError(BACKUP_USAGE);
  const { identity, passphrase, 'with-include': withIncludes } = flags;
  return await runDrill(archive, { ...flags, identity, passphrase, withIncludes });
}

async function backUp(flags: Flags): Promise<number> {
  return await untilInterrupted(GOES_ON, async (signal) => await makeBackup(flags, signal));
}

async function makeBackup(flags: Flags, signal: AbortSignal): Promise<number> {
  const result = (await watchRun(flags, signal, '/v1/backup')) as Pick<
    FinishedBackup,
    'archive' | 'bytes' | 'sha256'
  >;
  const { archive, bytes, sha256 } = result;
  if (flags.json) process.stdout.write(`${JSON.stringify({ archive, bytes, sha256 })}\n`);
  else if (process.stdout.isTTY)
    print(`${archive}: ${sizeText(bytes)}, sha256:${sha256}, read back and named`);
  else print(JSON.stringify({ event: 'done', archive, bytes, sha256 }));
  return 0;
}

async function list(flags: Flags): Promise<number> {
  const archives = await readList(flags);
  if (flags.json) {
    print(JSON.stringify(archives));
    return 0;
  }
  const nowMs = systemClock.now();
  const cells = archives.map((each) => [
    each.archive,
    each.kind,
    sizeText(each.bytes),
    ageText(nowMs - Date.parse(each.created_at)),
    each.signed === 'ours' ? 'yes' : each.signed === 'other' ? 'by another key' : 'no, unfinished or changed',
    each.drilled_at ?? 'never',
  ]);
  print(table(['archive', 'kind', 'size', 'age', 'signed by us', 'last drill'], cells));
  for (const { archive, overwritten: written, deleted } of archives)
    if (written + deleted > 0) warn(describeOverwritten({ name: archive, written, deleted }));
  return 0;
}

async function readList(flags: Flags): Promise<readonly ArchiveView[]> {
  if (flags.policies !== undefined) {
    const { target, signers } = openOffline(flags, flags.policies);
    return (await surveyTarget(target, signers)).archives;
  }
  const { status, value } = await callControl(flags.data, 'GET', '/v1/backup/archives');
  if (status !== 200) throw new Error(refusalOf(value));
  return value as ArchiveView[];
}

async function verify(flags: Flags, archive: string | undefined): Promise<number> {
  if (archive !== undefined && parseArchiveName(archive) === undefined)
    throw new UsageError(
      `${archive} is no name of an archive; zasov backup list shows them (${ARCHIVE_PREFIX}…)`,
    );
  const says = flags.policies === undefined ? GOES_ON : 'not everything was read back';
  return await untilInterrupted(says, async (signal) => await showVerified(flags, signal, archive));
}

async function showVerified(flags: Flags, signal: AbortSignal, archive: string | undefined): Promise<number> {
  const results = await readBack(flags, signal, archive);
  const bad = results.filter(({ problem }) => problem !== undefined);
  if (flags.json) print(JSON.stringify(results));
  else {
    const cells = results.map((each) => [each.archive, sizeText(each.bytes), each.problem ?? 'good']);
    print(table(['archive', 'size', 'read back'], cells));
    for (const { warning } of results) if (warning !== undefined) warn(warning);
  }
  return bad.length === 0 ? 0 : 1;
}

async function readBack(
  flags: Flags,
  signal: AbortSignal,
  archive: string | undefined,
): Promise<readonly VerifiedArchive[]> {
  if (flags.policies !== undefined)
    return await verifyArchives({
      ...openOffline(flags, flags.policies),
      archive,
      signal,
      onProgress: () => undefined,
    });
  const answer = await watchRun(flags, signal, '/v1/backup/verify', archive === undefined ? {} : { archive });
  return (answer as { archives: VerifiedArchive[] }).archives;
}

function showSigner(flags: Flags): number {
  const keyring = readMaster({ ...flags, data: [flags.data] });
  const fingerprint = signerFingerprint(createBackupSigner(keyring).publicKey);
  if (flags.json) print(JSON.stringify({ signer: fingerprint }));
  else print(fingerprint);
  return 0;
}

/** The target and the keys of a set of policies, where no gateway runs. */
function openOffline(flags: Flags, policies: string): { target: BackupTarget; signers: string[] } {
  const environment = processEnvironment();
  const reading = loadPolicy(policies, environment);
  if ('mistakes' in reading) throw new Error(reading.mistakes.map(formatMistake).join('\n'));
  const { backup } = reading.policy;
  if (backup === undefined) throw new Error(`${policies} asks for no backups`);
  const keyring = readMaster({ ...flags, data: [flags.data] });
  return {
    target: openTarget(backup.to, { clock: systemClock, environment }),
    signers: backupSignerKeys(keyring),
  };
}

const HOUR_MS = 3_600_000;

function ageText(ageMs: number): string {
  if (ageMs < HOUR_MS) return `${Math.max(0, Math.floor(ageMs / 60_000))} min`;
  if (ageMs < 48 * HOUR_MS) return `${Math.floor(ageMs / HOUR_MS)} h`;
  return `${Math.floor(ageMs / (24 * HOUR_MS))} d`;
}

function warn(text: string): void {
  process.stderr.write(`WARNING ${text}\n`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
