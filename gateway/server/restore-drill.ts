import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { SignedRecords } from '../admin/signed-records.ts';
import { KeyVault } from '../api-key/key-vault.ts';
import { createAuditKeys } from '../audit/audit-keys.ts';
import { verifyTrail } from '../audit/verify-trail.ts';
import { openStaging, removeStaging } from '../backup/restore-place.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { sealedKeyFiles } from '../store/key-file.ts';
import { MemoryRecords } from '../backup/memory-records.ts';
import { openStoreCopy, openStoreLoad } from '../store/open-store-copy.ts';
import type { StoreCopy } from '../store/store-copy.ts';
import { createRegionSeal } from '../upstream/region-record.ts';
import { planRestore, type RestorePlan } from './restore-plan.ts';
import { type RestoreRequest, step } from './restore-request.ts';
import { type StagedState, stageRestore } from './restore-stage.ts';

/** What a drill proved, before it is signed. */
export interface DrillFacts {
  readonly format: 1;
  /** File name and id of the archive. */
  readonly archive: string;
  readonly id: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly archive_created_ms: number;
  readonly at_ms: number;
  /** How long it took to bring everything back: the measured recovery time. */
  readonly took_ms: number;
  readonly journal: { readonly whole: boolean; readonly through_ms: number };
  readonly keys: number;
  readonly records: number;
  readonly sessions: number;
  readonly audit_records: number;
  /** Included sources that were restored by their commands, and those that were only read. */
  readonly includes: readonly string[];
  readonly includes_read: readonly string[];
  readonly version: string;
}

/**
 * Restores an archive and its journal into a scratch directory, opens everything that is sealed in it, verifies the
 * audit trail, and removes it again. Touches neither a gateway nor its store; sources are only read, but for those
 * that are asked for.
 *
 * @param request its `data` is the scratch directory, made when missing.
 * @param withIncludes the sources that are restored by their commands.
 * @throws as `restoreState`; GatewayError `backup_invalid` for what does not open.
 */
export async function drillArchive(
  request: Omit<RestoreRequest, 'skips' | 'policies'>,
  withIncludes: readonly string[],
): Promise<{ readonly facts: DrillFacts; readonly keyring: Keyring }> {
  const { clock, environment } = request;
  const beganMs = clock.now();
  const wanted: RestoreRequest = {
    ...request,
    policies: join(request.data, 'no-policies'),
    skips: (name) => !withIncludes.includes(name),
  };
  const planned = await planRestore(wanted);
  const plan = scratchPlan(planned);
  const { place, keyring, archive, journal } = plan;
  await openStaging(place);
  try {
    const load = await openStoreLoad({ choice: plan.policy.store, data: place.staging, environment });
    let staged: StagedState;
    try {
      await load.begin();
      staged = await stageRestore({
        request: wanted,
        plan,
        load,
        staging: place.staging,
        epochThere: 0,
        approval: undefined,
      });
      await load.finish();
    } finally {
      await load.close();
    }
    const tookMs = clock.now() - beganMs;
    request.signal?.throwIfAborted();
    await openEverything(request, plan);
    request.signal?.throwIfAborted();
    const auditRecords = await verifyRestoredTrail(request, plan, staged.trail);
    const { counts } = staged;
    const facts = {
      format: 1 as const,
      archive: request.source.name,
      id: archive.head.id,
      sha256: archive.sha256,
      bytes: archive.bytes,
      archive_created_ms: archive.head.created_ms,
      at_ms: clock.now(),
      took_ms: tookMs,
      journal: { whole: journal.isComplete, through_ms: journal.throughMs },
      keys: counts.keys,
      records: counts.records,
      sessions: counts.sessions,
      audit_records: auditRecords,
      includes: archive.includes.filter((name) => withIncludes.includes(name)),
      includes_read: archive.includes.filter((name) => !withIncludes.includes(name)),
      version: request.version,
    };
    return { facts, keyring };
  } finally {
    await removeStaging(place);
    await rm(place.data, { recursive: true, force: true });
  }
}

/** The same plan with a store of its own and everything in one place. */
function scratchPlan(plan: RestorePlan): RestorePlan {
  return {
    ...plan,
    trail: undefined,
    policy: { ...plan.policy, store: { kind: 'embedded' }, auditDirectory: undefined },
  };
}

/** Opens every key, record and private key that came back. @throws GatewayError `backup_invalid`. */
async function openEverything(
  request: Pick<RestoreRequest, 'environment' | 'report'>,
  { policy, place, keyring }: RestorePlan,
): Promise<void> {
  const copy = await openStoreCopy({
    choice: policy.store,
    data: place.staging,
    environment: request.environment,
  });
  const records = new MemoryRecords();
  try {
    await openKeys(copy, new KeyVault(keyring));
    const regions = createRegionSeal(keyring);
    for await (const record of copy.records()) {
      if (record.kind === 'region' && regions.open(record.id, record.body).causes.includes('unreadable'))
        throw unopened(`the record of the region ${record.id}`);
      records.take(record);
    }
  } finally {
    await copy.close();
  }
  const signed = new SignedRecords(records, keyring, place.staging);
  for (const { kind, id } of records.all())
    if (kind === 'admin' || kind === 'proposal' || kind === 'restore') await signed.read(kind, id);
  const files = sealedKeyFiles(keyring);
  for (const file of await keyFilesOf(place.staging)) await files.read(file);
  step(request, 'drill', 'every sealed key, record and private key opens');
}

async function openKeys(copy: StoreCopy, vault: KeyVault): Promise<void> {
  for await (const key of copy.keys()) {
    if (vault.open(key) === undefined) throw unopened(`the API key ${key.lineage}`);
    if (key.use !== undefined && vault.openUse(key.lineage, key.use.sealed) === undefined)
      throw unopened(`the last use of the API key ${key.lineage}`);
  }
}

async function keyFilesOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.key') && entry.name !== 'master.key')
    .map((entry) => join(entry.parentPath, entry.name));
}

/** @returns how many records it has. @throws GatewayError `backup_invalid`. */
async function verifyRestoredTrail(
  request: Pick<RestoreRequest, 'report'>,
  { place, keyring }: RestorePlan,
  directory: string,
): Promise<number> {
  const heads = [join(place.staging, 'audit-heads')];
  const report = await verifyTrail({ directory, heads }, createAuditKeys(keyring));
  const [problem] = report.problems;
  if (problem !== undefined)
    throw new GatewayError(
      'backup_invalid',
      `the audit trail of the backup does not verify: ${problem.kind}: ${problem.says} (writer ${problem.writer})`,
    );
  const count = report.writers.reduce((sum, { records }) => sum + records, 0);
  step(request, 'drill', `the audit trail verifies: ${count} records`);
  return count;
}

function unopened(what: string): GatewayError {
  return new GatewayError('backup_invalid', `${what} does not open under the master key of the archive`);
}
