import { SignedRecords } from '../admin/signed-records.ts';
import {
  explainFull,
  openStaging,
  publish,
  removeStaging,
  type RestorePlace,
  settle,
} from '../backup/restore-place.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { familyTransitions } from '../session/rotate.ts';
import { openStore } from '../store/open-store.ts';
import { openStoreLoad } from '../store/open-store-copy.ts';
import type { StoreLoad } from '../store/store-copy.ts';
import { loadPolicy } from '../policy/load-policy.ts';
import { formatMistake } from '../policy/mistake.ts';
import { readKeyring } from './read-keyring.ts';
import { findRestoreApproval, keepClearance, readClearance, useRestoreApproval } from './restore-approval.ts';
import { readEpoch, restoredArchive } from './restore-epoch.ts';
import { placeMaster } from './restore-master.ts';
import { planRestore, type RestorePlan, writePolicies } from './restore-plan.ts';
import { type RestoreRequest, step } from './restore-request.ts';
import { type StagedState, stageRestore } from './restore-stage.ts';

/** What a restore did. */
export interface RestoreResult extends Pick<StagedState, 'counts' | 'epoch' | 'chains'> {
  readonly archive: string;
  readonly sha256: string;
  /** Whether the journal was whole; otherwise API keys are on hold. */
  readonly isComplete: boolean;
  /** Where what was there before is kept. */
  readonly kept: string | undefined;
  readonly tookMs: number;
  /** What is left for the operator to do before the gateway starts. */
  readonly todo: readonly string[];
}

/** The store of a node's own archive is the fleet's, and stays as it is. */
const NO_LOAD: StoreLoad = {
  isEmpty: () => Promise.resolve(true),
  isUnfinished: () => Promise.resolve(false),
  begin: () => Promise.resolve(),
  putRecords: () => Promise.resolve(),
  putKeys: () => Promise.resolve(),
  putSessions: () => Promise.resolve(),
  changesCursor: () => Promise.resolve(''),
  finish: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** What is in the place of a restore, and on whose word it may go. */
interface Clearance {
  /** How often what is there was restored. */
  readonly epochThere: number;
  readonly approval: string | undefined;
}

/**
 * Brings a gateway back from an archive and its journal. All of both is read and checked before anything is written;
 * everything is made ready beside the data directory; then it is put in its place as one.
 *
 * Nothing of it is there when it fails or is killed before that, but in a shared store, which then carries a mark, so
 * that no gateway starts on it; the same command begins anew.
 *
 * @throws GatewayError `backup_invalid`, `backup_failed`, `restore_refused`, `admin_untrusted`, `store_unavailable`.
 */
export async function restoreState(request: RestoreRequest): Promise<RestoreResult> {
  const { clock } = request;
  const beganMs = clock.now();
  const plan = await planRestore(request);
  const master = await placeMaster({
    reference: plan.policy.masterKey,
    data: plan.place.data,
    staging: plan.place.staging,
    environment: request.environment,
    text: plan.archive.masterKey,
  });
  const clearance = await clear(request, plan);
  await openStaging(plan.place);
  if (plan.trail !== undefined) await openStaging(plan.trail);
  const isShared = plan.policy.store.kind === 'redis' && isOfFleet(plan);
  let load: StoreLoad | undefined;
  try {
    load = await openLoad(request, plan);
    await load.begin({ replace: isShared && (await isTaken(load)) });
    const staged = await stageRestore({ request, plan, load, staging: plan.place.staging, ...clearance });
    request.signal?.throwIfAborted();
    await master.put();
    step(request, 'secrets', master.says);
    if (!isShared) await finish(load);
    const kept = await putInPlace(request, plan, clearance, isShared);
    if (isShared) {
      step(request, 'store', 'taking the mark off the shared store');
      await finish(load);
      await settle(plan.place.data);
    }
    load = undefined;
    const { counts, epoch, chains } = staged;
    const tookMs = clock.now() - beganMs;
    step(request, 'done', `restored in ${(tookMs / 1000).toFixed(1)} s; start the gateway: zasov serve`);
    return {
      counts,
      epoch,
      chains,
      archive: request.source.name,
      sha256: plan.archive.sha256,
      isComplete: plan.journal.isComplete,
      kept,
      tookMs,
      todo: todoOf(request, plan),
    };
  } catch (thrown) {
    const error = await explainFull(plan.place, thrown);
    await load?.close();
    await removeStaging(plan.place).catch(() => undefined);
    if (plan.trail !== undefined) await removeStaging(plan.trail).catch(() => undefined);
    throw error;
  }
}

/** Whether the archive is of all nodes; one of a node alone has its certificates and its trail, and no store. */
function isOfFleet({ archive }: RestorePlan): boolean {
  return archive.head.kind === 'fleet';
}

async function openLoad({ environment }: RestoreRequest, plan: RestorePlan): Promise<StoreLoad> {
  const { policy, place } = plan;
  return isOfFleet(plan)
    ? await openStoreLoad({ choice: policy.store, data: place.staging, environment })
    : NO_LOAD;
}

async function finish(load: StoreLoad): Promise<void> {
  await load.finish();
  await load.close();
}

async function isTaken(load: StoreLoad): Promise<boolean> {
  return !(await load.isEmpty()) && !(await load.isUnfinished());
}

/**
 * Whether the place is free, or both administrators of the gateway that is there have approved.
 *
 * @throws GatewayError `restore_refused`.
 */
async function clear(request: RestoreRequest, plan: RestorePlan): Promise<Clearance> {
  const { place } = plan;
  const shared = await lookAtShared(request, plan);
  if (!place.isGateway && shared !== 'taken') {
    const isBegun = place.isUnfinished || shared === 'unfinished';
    step(
      request,
      'target',
      isBegun ? `${place.data}: an interrupted restore begins anew` : `${place.data} is free`,
    );
    return { epochThere: 0, approval: undefined };
  }
  if (shared === 'unfinished') return await clearAgain(request, plan);
  return await withRecordsThere(request, plan, async ({ signed, epoch, keyring }) => {
    const { sha256 } = plan.archive;
    if (place.isUnfinished && (await restoredArchive(signed)) === sha256) {
      step(request, 'target', 'a restore of this archive was interrupted at its very end; it begins anew');
      return { epochThere: epoch, approval: undefined };
    }
    const found = await findRestoreApproval(signed, sha256, request.clock.now());
    if ('lacks' in found) throw unapproved(place, shared === 'taken', found.lacks, request.source.name);
    const { proposed, approved, payload } = found.proposal;
    step(
      request,
      'target',
      `a gateway is there; ${proposed.name} and ${approved?.name ?? ''} approved this archive`,
    );
    if (place.isGateway && shared === 'taken')
      await keepClearance(place.data, keyring, { sha256, approval: payload.id });
    return { epochThere: epoch, approval: payload.id };
  });
}

/** The shared store was emptied by a restore that was interrupted; the data directory is the one from before. */
async function clearAgain(request: RestoreRequest, plan: RestorePlan): Promise<Clearance> {
  const { place, policy } = plan;
  const word = await readClearance(place.data, await readKeyring(policy, place.data, request.environment));
  if (word === undefined)
    throw new GatewayError(
      'restore_refused',
      `the shared store holds half of a restore, and ${place.data} is not of it: move ${place.data} away and run this again`,
    );
  if (word.sha256 !== plan.archive.sha256)
    throw new GatewayError(
      'restore_refused',
      `a restore of another archive was interrupted here: run that one again, or move ${place.data} away first`,
    );
  step(request, 'target', 'an interrupted restore, which both administrators approved, begins anew');
  return { epochThere: 0, approval: word.approval };
}

async function lookAtShared(
  { environment }: RestoreRequest,
  plan: RestorePlan,
): Promise<'free' | 'taken' | 'unfinished'> {
  const { policy, place } = plan;
  if (policy.store.kind !== 'redis' || !isOfFleet(plan)) return 'free';
  const load = await openStoreLoad({ choice: policy.store, data: place.staging, environment });
  try {
    if (await load.isUnfinished()) return 'unfinished';
    return (await load.isEmpty()) ? 'free' : 'taken';
  } finally {
    await load.close();
  }
}

function unapproved({ data }: RestorePlace, isShared: boolean, lacks: string, archive: string): GatewayError {
  const where = isShared ? `${data} and its shared store` : data;
  return new GatewayError(
    'restore_refused',
    `there is a gateway in ${where}, and ${lacks}. Start it, have both administrators approve (zasov admins propose restore ${archive}, zasov admins approve), stop it and run this again. If it is of no use any more, move it away first`,
  );
}

/** Works on the records of the gateway that is there. */
async function withRecordsThere<T>(
  { environment, clock }: RestoreRequest,
  plan: RestorePlan,
  work: (there: { signed: SignedRecords; epoch: number; keyring: Keyring }) => Promise<T>,
): Promise<T> {
  const { policy, place } = plan;
  const keyring = place.isGateway ? await readKeyring(policy, place.data, environment) : plan.keyring;
  const opened = await openStore({
    choice: policy.store,
    data: place.data,
    environment,
    transitions: familyTransitions,
    clock,
    onUnreplicated: () => undefined,
  });
  try {
    const signed = new SignedRecords(opened.records, keyring, place.isGateway ? place.data : place.staging);
    return await work({ signed, epoch: await readEpoch(opened.records), keyring });
  } finally {
    await opened.close();
  }
}

/** Puts what is ready in its place. @returns where what was there is kept. */
async function putInPlace(
  request: RestoreRequest,
  plan: RestorePlan,
  { approval }: Clearance,
  isShared: boolean,
): Promise<string | undefined> {
  const nowMs = request.clock.now();
  const { place, trail, archive, arePoliciesArchived } = plan;
  step(request, 'publish', `putting it in its place: ${place.data}`);
  // A shared store holds the restored records by now, with the approval used up among them.
  if (approval !== undefined && !isShared)
    await withRecordsThere(request, plan, ({ signed }) => useRestoreApproval(signed, approval));
  if (arePoliciesArchived) await writePolicies(request.policies, archive.policies);
  if (trail !== undefined) {
    const keptTrail = await publish(trail, nowMs, false);
    if (keptTrail !== undefined)
      step(request, 'publish', `the audit trail that was there is kept in ${keptTrail}`);
  }
  const kept = await publish(place, nowMs, isShared);
  if (kept !== undefined) step(request, 'publish', `what was there is kept in ${kept}`);
  return kept;
}

/** What the policies name and is not there. */
function todoOf(request: RestoreRequest, plan: RestorePlan): string[] {
  const reading = loadPolicy(request.policies, request.environment);
  const missing = 'policy' in reading ? [] : reading.mistakes.map(formatMistake);
  if (plan.journal.isComplete) return missing;
  return [
    ...missing,
    'API keys are on hold: look at them with zasov keys list, then zasov keys release ID or --all',
  ];
}
