import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import type { ListRecord } from '../admin/admin-records.ts';
import { SignedRecords } from '../admin/signed-records.ts';
import { holdStoredKey } from '../api-key/hold-stored-key.ts';
import { KeyVault } from '../api-key/key-vault.ts';
import { createAuditKeys } from '../audit/audit-keys.ts';
import type { RestoredChain } from '../audit/restored-chains.ts';
import { recordRestore } from '../audit/record-restore.ts';
import { runRestore } from '../backup/include-source.ts';
import { createLeaseBox } from '../backup/backup-lease.ts';
import { journalAfterRestore } from '../backup/journal-place.ts';
import { MemoryRecords } from '../backup/memory-records.ts';
import { loadArchive } from '../backup/restore-archive.ts';
import { type LoadCounts, RestoreLoad } from '../backup/restore-load.ts';
import { EPOCH_RECORD, type StoredRecord } from '../store/record-store.ts';
import type { StoreLoad } from '../store/store-copy.ts';
import { verifyMaster } from './master-check.ts';
import { useRestoreApproval } from './restore-approval.ts';
import { eachSegment } from './restore-journal.ts';
import { insideOf } from './restore-master.ts';
import { missingInclude, type RestorePlan } from './restore-plan.ts';
import { type RestoreRequest, step } from './restore-request.ts';

/** Where a plan is carried out. */
export interface StageParts {
  readonly request: RestoreRequest;
  readonly plan: RestorePlan;
  /** Empty, or with `replacing` about to be; neither begun nor finished here. */
  readonly load: StoreLoad;
  /** Becomes the data directory. */
  readonly staging: string;
  /** How often what is there now was restored. */
  readonly epochThere: number;
  /** The approval that this restore uses up. */
  readonly approval: string | undefined;
}

/** What was made ready. */
export interface StagedState {
  readonly counts: LoadCounts;
  readonly epoch: number;
  readonly chains: readonly RestoredChain[];
  /** Where the audit trail was put. */
  readonly trail: string;
}

/**
 * Brings everything back into a directory beside the data directory, and into the store: first the number of the
 * restore, which stops whoever still serves what was there; the archive; the journal; and on record in the audit trail
 * what came back.
 *
 * @throws GatewayError `backup_invalid`, `backup_failed`, `admin_untrusted`, `store_unavailable`; the system's error.
 */
export async function stageRestore(parts: StageParts): Promise<StagedState> {
  const { request, plan, load, staging, epochThere } = parts;
  const { keyring, journal, archive } = plan;
  const trail = trailIn(parts);
  const vault = new KeyVault(keyring);
  const restored = new RestoreLoad(
    load,
    journal,
    journal.isComplete ? undefined : (key) => holdStoredKey(vault, key, archive.head.created_ms),
  );
  const first = await epochRecord(parts, epochThere);
  await load.putRecords([first]);
  restored.records.take(first);
  step(request, 'state', 'bringing back what the archive holds');
  const sinks = {
    data: staging,
    trail,
    heads: join(staging, 'audit-heads'),
    load: restored,
    include: (name: string) => includeOf(request, plan, name),
  };
  await loadArchive(request.source, request.keys, archive, sinks, (_, bytes) =>
    request.report({ event: 'progress', step: 'state', bytes, of: request.source.bytes }),
  );
  if (archive.head.kind === 'fleet')
    await eachSegment(request, archive.head, (segment) => restored.takeSegment(segment));
  const epoch = await finishRecords(parts, restored.records);
  await restored.putKept();
  await goOnWithJournal(parts);
  await verifyMaster(keyring, staging, undefined);
  const { counts } = restored;
  step(
    request,
    'state',
    `${counts.keys} API keys${journal.isComplete ? '' : ' (ON HOLD)'}, ${counts.records} records, ${counts.sessions} sessions, every one of them ended`,
  );
  const chains = await recordTrail(parts, trail, epoch);
  return { counts, epoch, chains, trail };
}

/**
 * What is known whole is gone on with, so that an archive of before is followed by what is revoked from now on. After
 * keys on hold nothing follows on what was before: an archive of then knows neither why they are, nor who released them.
 */
async function goOnWithJournal({ plan, load, request }: StageParts): Promise<void> {
  const { keyring, journal, archive } = plan;
  if (archive.head.kind !== 'fleet') return;
  const nothing = randomBytes(32).toString('hex');
  const end = journal.isComplete ? journal.end : { seq: journal.end.seq, hash: nothing };
  const record = journalAfterRestore(createLeaseBox(keyring), end, {
    cursor: await load.changesCursor(),
    throughMs: journal.throughMs,
    nowMs: request.clock.now(),
  });
  await load.putRecords([record]);
}

/** Where the audit trail of a plan is put before it is published. */
function trailIn({ plan, staging }: StageParts): string {
  const { trail, policy, place } = plan;
  if (trail !== undefined) return trail.staging;
  const inside =
    policy.auditDirectory === undefined ? undefined : insideOf(place.data, policy.auditDirectory);
  return join(staging, inside ?? 'audit');
}

async function epochRecord({ plan, staging, request }: StageParts, there: number): Promise<StoredRecord> {
  const records = new MemoryRecords();
  if (there > 0) records.take({ ...EPOCH_RECORD, version: there, body: Buffer.alloc(0) });
  const signed = new SignedRecords(records, plan.keyring, staging);
  await signed.write(EPOCH_RECORD.kind, EPOCH_RECORD.id, there + 1, {
    archive: plan.archive.sha256,
    at_ms: request.clock.now(),
  });
  const [record] = records.all();
  if (record === undefined) throw new Error('the record of the restore was not made');
  return record;
}

/** Checks the records that only this gateway can have written, and adds the number of the restore and its approval. */
async function finishRecords(
  { plan, request, staging, approval }: StageParts,
  records: MemoryRecords,
): Promise<number> {
  const signed = new SignedRecords(records, plan.keyring, staging);
  for (const { kind, id } of records.all())
    if (kind === 'admin' || kind === 'proposal' || (kind === 'restore' && id !== EPOCH_RECORD.id))
      await signed.read(kind, id);
  await sayAdministrators({ request, plan }, signed);
  const epoch = ((await records.read(EPOCH_RECORD.kind, EPOCH_RECORD.id))?.version ?? 0) + 1;
  const facts = { archive: plan.archive.sha256, at_ms: request.clock.now() };
  await signed.write(EPOCH_RECORD.kind, EPOCH_RECORD.id, epoch, facts);
  if (approval !== undefined) await useRestoreApproval(signed, approval);
  return epoch;
}

async function sayAdministrators(
  { request, plan }: Pick<StageParts, 'request' | 'plan'>,
  signed: SignedRecords,
): Promise<void> {
  const list = await signed.read<ListRecord>('admin', 'list');
  const names = list?.value.administrators.map(({ name }) => name).join(' and ') ?? 'nobody';
  step(request, 'admins', `administrators: ${names}`);
  if (plan.journal.isComplete) return;
  const says = `the administrators are those of the archive (${names}): whether one was replaced after it is not known; look with zasov admins list before you let them in`;
  request.report({ event: 'warning', step: 'admins', says });
}

async function recordTrail(
  { plan, request, staging }: StageParts,
  directory: string,
  epoch: number,
): Promise<RestoredChain[]> {
  const { archive, journal, keyring, policy, place } = plan;
  const { clock, version } = request;
  const chains = await recordRestore(
    {
      directory,
      heads: join(staging, 'audit-heads'),
      movesTo: policy.auditDirectory ?? join(place.data, 'audit'),
      keys: createAuditKeys(keyring),
      clock,
      version,
    },
    {
      archive: request.source.name,
      sha256: archive.sha256,
      epoch,
      journal: journal.isComplete ? 'whole' : 'not whole: keys on hold',
      through: new Date(journal.throughMs).toISOString(),
      left_out: archive.includes.filter((name) => request.skips(name)),
    },
    journal.heads,
  );
  const records = chains.reduce((sum, { seq }) => sum + seq, 0);
  const lost = chains.reduce((sum, { seq, through }) => sum + through - seq, 0);
  step(
    request,
    'audit',
    `the audit trail: ${records} records in ${chains.length} chains came back, ${lost} that the journal knows of did not`,
  );
  return chains;
}

/** What feeds a source to its command. */
function includeOf(request: RestoreRequest, { policy }: RestorePlan, name: string) {
  if (request.skips(name)) {
    request.report({
      event: 'warning',
      step: 'include',
      says: `the source ${name} is not restored: it is left out`,
    });
    return undefined;
  }
  const source = policy.backup?.include.find((each) => each.name === name);
  if (source === undefined) throw missingInclude(name);
  return async (body: AsyncIterable<Uint8Array>) => {
    step(request, 'include', `${name}: ${source.restore.join(' ')}`);
    await runRestore(source.restore, body, { timeoutMs: source.timeoutMs, signal: request.signal });
    step(request, 'include', `${name} is restored`);
  };
}
