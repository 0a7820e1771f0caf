import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { ApprovalDesk } from '../admin/approval-desk.ts';
import type { Administrator } from '../admin/admin.ts';
import type { ListRecord } from '../admin/admin-records.ts';
import type { Proposal, ProposalSlot } from '../admin/proposal-life.ts';
import { signerOf } from '../admin/proposal.ts';
import type { SignedRecords } from '../admin/signed-records.ts';
import { replaceFile } from '../config/private-file.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';

/** How long after the second signature a restore may begin. */
const GOOD_MS = 24 * 3_600_000;

const CLEARANCE = 'restore-approved';

/** On whose word a state is replaced: an archive, and the proposal that both signed. */
export interface RestoreWord {
  readonly sha256: string;
  readonly approval: string;
}

/** Approvals that were used, by the id of their proposal. */
interface UsedApprovals {
  readonly ids: readonly string[];
}

/**
 * Lets `restore` be proposed. Nothing happens in the running gateway: both signatures stay on record, and
 * `zasov restore` looks for them once the gateway is stopped.
 */
export function announceRestores(approvals: ApprovalDesk, audit: AuditSink): void {
  approvals.onApproved('restore', ({ parameters }, proposal) => {
    const { archive, sha256 } = parameters;
    return audit.commit({
      event: 'restore.approved',
      facts: { archive: String(archive), sha256: String(sha256), proposal },
    });
  });
}

/**
 * Looks for both administrators' approval of the restore of an archive, in the records of a gateway that is stopped.
 *
 * @returns the proposal, or why there is none.
 * @throws GatewayError `admin_untrusted` when the records are not what this gateway wrote; `store_unavailable`.
 */
export async function findRestoreApproval(
  signed: SignedRecords,
  sha256: string,
  nowMs: number,
): Promise<{ readonly proposal: Proposal } | { readonly lacks: string }> {
  const list = await signed.read<ListRecord>('admin', 'list');
  if (list === undefined) return { lacks: 'nobody is enrolled as administrator there' };
  const slot = await signed.read<ProposalSlot>('proposal', 'restore');
  const used = await signed.read<UsedApprovals>('restore', 'used');
  const ofArchive = (slot?.value.past ?? []).filter(
    ({ payload, state }) => state === 'done' && payload.parameters['sha256'] === sha256,
  );
  const lacks = { lacks: 'no approved proposal names this archive (by its SHA-256)' };
  let why = lacks;
  for (const proposal of ofArchive) {
    const doubt = doubtOf(proposal, list.value, used?.value.ids ?? [], nowMs);
    if (doubt === undefined) return { proposal };
    if (why === lacks) why = { lacks: doubt };
  }
  return why;
}

/** Puts on record that an approval is used up. @throws as {@link findRestoreApproval}. */
export async function useRestoreApproval(signed: SignedRecords, id: string): Promise<void> {
  for (;;) {
    const found = await signed.read<UsedApprovals>('restore', 'used');
    const ids = found?.value.ids ?? [];
    if (ids.includes(id)) return;
    if (await signed.write('restore', 'used', (found?.version ?? 0) + 1, { ids: [...ids, id] })) return;
  }
}

/**
 * Remembers, beside the state that is about to be replaced, on whose word that is: a shared store that was emptied by
 * an interrupted restore cannot say so any more.
 */
export async function keepClearance(data: string, keyring: Keyring, word: RestoreWord): Promise<void> {
  const sealed = createSealedBox(keyring, CLEARANCE).seal(Buffer.from(JSON.stringify(word)), CLEARANCE);
  await replaceFile(join(data, CLEARANCE), sealed, 0o600);
}

/** Reads what {@link keepClearance} kept; `undefined` when there is nothing, or it was not kept by this gateway. */
export async function readClearance(data: string, keyring: Keyring): Promise<RestoreWord | undefined> {
  const sealed = await readFile(join(data, CLEARANCE)).catch(() => undefined);
  const plain = sealed && createSealedBox(keyring, CLEARANCE).open(sealed, CLEARANCE);
  return plain && (JSON.parse(plain.toString()) as RestoreWord);
}

function doubtOf(
  { payload, proposed, approved, ended }: Proposal,
  list: ListRecord,
  used: readonly string[],
  nowMs: number,
): string | undefined {
  if (used.includes(payload.id)) return 'the approval of this archive was used already';
  if (payload.gateway !== list.gateway || payload.list !== list.number)
    return 'the list of administrators has changed since they approved it';
  if ((ended?.at_ms ?? 0) + GOOD_MS <= nowMs) return 'the approval of this archive is older than a day';
  const signers = [proposed, approved].map((each) => each && signerOf(payload, each));
  const isOfBoth = (both: readonly Administrator[]) =>
    both.length === 2 && both.every(({ fingerprint }) => signers.includes(fingerprint));
  return isOfBoth(list.administrators) ? undefined : 'the signatures are not those of both administrators';
}
