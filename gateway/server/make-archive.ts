import type { ChildProcess } from 'node:child_process';
import { basename, join } from 'node:path';

import { headsDirectory } from '../audit/trail-head.ts';
import { ARCHIVE_PREFIX, type ArchiveHead, newArchiveId } from '../backup/archive-format.ts';
import { backupSignerKeys, createBackupSigner } from '../backup/backup-signer.ts';
import { lacksRoom } from '../backup/backup-target.ts';
import { collectEntries } from '../backup/collect-entries.ts';
import { fetchDump, runDump } from '../backup/include-source.ts';
import { JOURNAL_FOLDER } from '../backup/journal-segment.ts';
import { openTarget } from '../backup/open-target.ts';
import { findOverwritten } from '../backup/overwritten.ts';
import { pruneJournal } from '../backup/prune-journal.ts';
import { watchScratchCheck } from '../backup/scratch-checker.ts';
import { type Tidying, storeArchive, tidyTarget } from '../backup/store-archive.ts';
import { DRILL_FOLDER } from '../backup/target-survey.ts';
import { verifyArchives } from '../backup/verify-archives.ts';
import { writeArchive } from '../backup/write-archive.ts';
import type { Environment } from '../config/environment.ts';
import { readSecret } from '../config/read-secret.ts';
import type { SecretReference } from '../config/secret-reference.ts';
import { systemClock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { type Keyring, parseKeyring } from '../crypto/keyring.ts';
import { loadPolicy } from '../policy/load-policy.ts';
import { readPolicyFiles } from '../policy/policy-files.ts';
import { openStoreCopy } from '../store/open-store-copy.ts';
import type { BackupAnswer, BackupJob } from './backup-calls.ts';
import type { JobControl } from './backup-child.ts';
import { readKeptPolicy } from './kept-policy.ts';

/** Starts the process that restores into a directory what comes to its standard input. */
type CheckStart = (directory: string) => ChildProcess;

type ArchiveJob = Extract<BackupJob, { job: 'archive' }>;

/** Does one job of a backup process; an archive is restored for a test while it is written. @throws GatewayError. */
export async function runJob(
  job: BackupJob,
  control: JobControl,
  environment: Environment,
  startCheck: CheckStart,
): Promise<BackupAnswer> {
  if (job.job === 'archive') return await makeArchive(job, control, environment, startCheck);
  const target = openTarget(job.backup.to, { clock: systemClock, environment, dataDirectory: job.data });
  return { job: 'verify', archives: await verifyArchives({ ...job, ...control, target }) };
}

async function makeArchive(
  job: ArchiveJob,
  control: JobControl,
  environment: Environment,
  startCheck: CheckStart,
): Promise<BackupAnswer> {
  const { data, kind, backup } = job;
  const clock = systemClock;
  const target = openTarget(backup.to, { clock, environment, dataDirectory: data });
  const masterKey = readText(job.masterKey ?? { kind: 'file', path: join(data, 'master.key') }, environment);
  const keyring = parseKeyring(masterKey);
  const signer = createBackupSigner(keyring);
  const head: ArchiveHead = {
    format: 1,
    id: newArchiveId(),
    kind,
    created_ms: clock.now(),
    version: job.version,
    node: job.node,
    journal: job.journal,
    signer: signer.publicKey,
    kids: keyring.kids,
  };
  const policies = await readPoliciesInForce(job, keyring, environment);
  const tidying: Tidying = {
    keep: { keep: backup.keep, keepForMs: backup.keepForMs },
    signers: backupSignerKeys(keyring),
    pruneJournal: (beforeSeq) => pruneJournal(target, beforeSeq),
  };
  const isFleet = kind === 'fleet';
  const store = isFleet ? await openStoreCopy({ choice: job.store, data, environment }) : undefined;
  try {
    const checker = watchScratchCheck(startCheck(join(data, 'backup', `scratch-${kind}`)));
    const { stream } = writeArchive({
      head,
      entries: collectEntries({
        data,
        trail: job.auditDirectory,
        heads: headsDirectory(data),
        policies: policies.files,
        masterKey,
        store,
        includes: isFleet ? sourcesOf(job, control.signal, environment) : [],
      }),
      recipients: backup.recipients,
      signer,
      onPlain: (chunk) => checker.take(chunk),
    });
    const body = checker.checked(stream);
    const finished = await storeArchive({ ...control, target, head, body, signer, clock }).catch(
      async (error: unknown) => {
        // What has had its time goes, so that a lower `keep` makes room for the next attempt.
        if (lacksRoom(error)) await tidyTarget({ target, clock }, tidying);
        throw error;
      },
    );
    control.onProgress({ phase: 'tidying up', bytes: finished.bytes });
    // Looked for before what is due goes, and what happened to it with it.
    const looked = [ARCHIVE_PREFIX, DRILL_FOLDER, JOURNAL_FOLDER];
    const overwritten = await findOverwritten(target, looked).catch(() => undefined);
    const notices = await tidyTarget({ target, clock }, tidying);
    return { job: 'archive', backup: finished, notices: [...policies.notices, ...notices], overwritten };
  } finally {
    await store?.close();
  }
}

function sourcesOf({ backup }: ArchiveJob, signal: AbortSignal, environment: Environment) {
  return backup.include.map(({ name, from, timeoutMs, idleMs }) => ({
    name,
    open: () => {
      if ('command' in from) return runDump(from.command, { timeoutMs, idleMs, signal });
      const token = from.token && readText(from.token, environment);
      return fetchDump(from.url, token, { timeoutMs, idleMs, signal });
    },
  }));
}

interface PolicyTexts {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly notices: readonly string[];
}

/** The files as the operator wrote them, unless they are not what is in force: then what was kept of that. */
async function readPoliciesInForce(
  { data, policies }: ArchiveJob,
  keyring: Keyring,
  environment: Environment,
): Promise<PolicyTexts> {
  const { files } = readPolicyFiles(policies);
  const written = files.map(({ file, text }) => ({ name: basename(file), text }));
  const kept = await readKeptPolicy(data, keyring);
  const loaded = loadPolicy(policies, environment);
  const isInForce = 'policy' in loaded && (kept === undefined || kept.contentHash === loaded.contentHash);
  if (isInForce || kept === undefined) return { files: written, notices: [] };
  return {
    files: [{ name: 'policy.yaml', text: `${JSON.stringify(kept.raw, undefined, 2)}\n` }],
    notices: ['the policy files are not those in force; the backup has those in force'],
  };
}

function readText(reference: SecretReference, environment: Environment): string {
  const reading = readSecret(reference, environment);
  if ('value' in reading) return reading.value;
  throw new GatewayError('backup_failed', `a secret for the backup cannot be read: ${reading.problem}`);
}
