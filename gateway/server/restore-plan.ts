import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { inspectArchive, type InspectedArchive } from '../backup/restore-archive.ts';
import { findRestorePlace, type RestorePlace } from '../backup/restore-place.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { signerFingerprint } from '../crypto/signing-key.ts';
import { type Keyring, parseKeyring } from '../crypto/keyring.ts';
import { loadPolicyAlone } from '../policy/load-policy.ts';
import { formatMistake } from '../policy/mistake.ts';
import type { Policy } from '../policy/policy.ts';
import { inspectJournal, type JournalFindings, NO_JOURNAL } from './restore-journal.ts';
import { type RestoreRequest, step } from './restore-request.ts';

/** All that is known before anything is written. */
export interface RestorePlan {
  readonly archive: InspectedArchive;
  readonly journal: JournalFindings;
  readonly keyring: Keyring;
  readonly policy: Policy;
  /** Whether the policies come from the archive. */
  readonly arePoliciesArchived: boolean;
  readonly place: RestorePlace;
  /** Where the audit trail goes, when that is outside of the data directory. */
  readonly trail: RestorePlace | undefined;
}

/**
 * Reads all of the archive and of its journal and looks at where it is to go. Writes nothing but a scratch copy of the
 * policies, for as long as they are read.
 *
 * @throws GatewayError `backup_invalid`, `backup_failed`, `restore_refused`, `internal`.
 */
export async function planRestore(request: RestoreRequest): Promise<RestorePlan> {
  const { source, keys } = request;
  const place = await findRestorePlace(request.data);
  for (const says of source.warnings) request.report({ event: 'warning', step: 'archive', says });
  step(request, 'archive', `reading all of ${source.name}: every byte, every hash, the signature`);
  const archive = await inspectArchive(source, keys, (bytes) =>
    request.report({ event: 'progress', step: 'archive', bytes, of: source.bytes }),
  );
  const { head } = archive;
  step(
    request,
    'archive',
    `${source.name} is whole: made ${new Date(head.created_ms).toISOString()} by ${head.node}, version ${head.version}, sha256:${archive.sha256}`,
  );
  await trustSigner(request, signerFingerprint(head.signer));
  const journal = head.kind === 'node' ? NO_JOURNAL : await inspectJournal(request, head);
  for (const says of [...journal.warnings, ...journal.problems])
    request.report({ event: 'warning', step: 'journal', says });
  step(request, 'journal', journal.says);
  const arePoliciesArchived = !existsSync(request.policies);
  const policy = arePoliciesArchived ? await archivedPolicy(archive) : policyAt(request.policies);
  step(
    request,
    'policies',
    arePoliciesArchived
      ? `${request.policies} does not exist: the policies of the archive are put there`
      : `the policies in ${request.policies} count, not those of the archive`,
  );
  for (const name of archive.includes)
    if (!request.skips(name) && !policy.backup?.include.some((each) => each.name === name))
      throw missingInclude(name);
  return {
    archive,
    journal,
    keyring: parseKeyring(archive.masterKey),
    policy,
    arePoliciesArchived,
    place,
    trail: await outsideTrail(policy, place),
  };
}

/**
 * Anybody can encrypt to a public key: whose archive it is, only its signer says.
 *
 * @throws GatewayError `restore_refused` when whoever was asked does not know it.
 */
async function trustSigner(request: RestoreRequest, fingerprint: string): Promise<void> {
  if (request.keys.signer !== undefined) return;
  const says = `the archive is signed by ${fingerprint}`;
  const answer = await request.agree(
    'signer',
    `${says}. Is that what zasov backup signer printed for your gateway?`,
  );
  if (answer === false) throw new GatewayError('restore_refused', `${says}, which you do not know`);
  if (answer === undefined)
    request.report({
      event: 'warning',
      step: 'archive',
      says: `${says}; nothing here says that this is your gateway: give it with --signer, or as "# zasov-signer: ${fingerprint}" in the identity file`,
    });
}

/** The refusal of an archive with a source that nobody knows how to restore. */
export function missingInclude(name: string): GatewayError {
  return new GatewayError(
    'restore_refused',
    `the archive includes "${name}", and backup.include of the policies does not say how it is restored: add it, or leave it out with --skip-include ${name}`,
  );
}

/** Writes the policies of an archive below a path that is not there: a directory, or the one file that it names. */
export async function writePolicies(path: string, policies: ReadonlyMap<string, string>): Promise<void> {
  const [only] = policies.values();
  if (/\.ya?ml$/.test(path) && policies.size === 1 && only !== undefined) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, only, { mode: 0o640 });
    return;
  }
  for (const [name, text] of policies) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), text, { mode: 0o640 });
  }
}

async function archivedPolicy(archive: InspectedArchive): Promise<Policy> {
  if (archive.policies.size === 0)
    throw new GatewayError('restore_refused', 'the archive holds no policies: name yours with --policies');
  const scratch = await mkdtemp(join(tmpdir(), 'zasov-policies-'));
  try {
    await writePolicies(scratch, archive.policies);
    return policyAt(scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What the policies say, whether or not what they name is there yet. @throws GatewayError `restore_refused`. */
function policyAt(path: string): Policy {
  const reading = loadPolicyAlone(path);
  if ('policy' in reading) return reading.policy;
  const mistakes = reading.mistakes.map(formatMistake).join('\n');
  throw new GatewayError('restore_refused', `the policies have mistakes; mend them first\n${mistakes}`);
}

async function outsideTrail(policy: Policy, place: RestorePlace): Promise<RestorePlace | undefined> {
  const { auditDirectory } = policy;
  if (auditDirectory === undefined) return undefined;
  const trail = await findRestorePlace(auditDirectory);
  return trail.data === place.data || trail.data.startsWith(`${place.data}/`) ? undefined : trail;
}
