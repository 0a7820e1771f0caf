import type { Environment } from '../config/environment.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { loadPolicy } from '../policy/load-policy.ts';
import { formatMistake, type Mistake } from '../policy/mistake.ts';
import { notInForce } from '../policy/not-in-force.ts';
import type { Policy } from '../policy/policy.ts';
import { policySchema } from '../policy/policy-schema.ts';
import { loweredProtection } from '../policy/protection-table.ts';
import { refuseHalfRestored } from '../store/open-store-copy.ts';
import { layOutPolicy, readKeptPolicy } from './kept-policy.ts';
import { readKeyring } from './read-keyring.ts';
import type { PolicyReading } from './policy-in-force.ts';

/**
 * Reads a set of policies for a gateway that is to run on it: what this version cannot do and would be dangerous to
 * pass over is refused like a mistake.
 *
 * @param original says where a mistake stands, when `path` is a copy.
 */
export function readPolicies(
  path: string,
  environment: Environment,
  original: (mistake: Mistake) => Mistake = (mistake) => mistake,
): PolicyReading {
  const loaded = loadPolicy(path, environment);
  if ('mistakes' in loaded)
    return { mistakes: loaded.mistakes.map((mistake) => formatMistake(original(mistake))) };
  const { refused, waiting } = notInForce(loaded.settings);
  if (refused.length > 0) return { mistakes: [...refused] };
  const { policy, raw, settings, contentHash } = loaded;
  return { policy, notices: waiting, candidate: { raw, settings, contentHash } };
}

/** The policies that a start decides by. @throws GatewayError `internal` with every mistake in them. */
export function readFirstPolicy(options: {
  readonly policies: string;
  readonly environment: Environment;
}): Extract<PolicyReading, { policy: Policy }> {
  const first = readPolicies(options.policies, options.environment);
  if ('policy' in first) return first;
  throw new GatewayError('internal', `policies refused\n${first.mistakes.join('\n')}`);
}

/** The set that a node starts with. */
export type FirstPolicy = Extract<PolicyReading, { policy: Policy }> & {
  /** Where it was read from. */
  readonly path: string;
  /** Whether it is the one before, because the one on disk lowers a protection. */
  readonly isKept: boolean;
};

/**
 * Chooses the set that a node starts with: the one on disk, or, when that lowers a protection against what was last
 * in force on this node, the one before, so that a restart is no way around the two administrators. Whether they have
 * approved the one on disk is seen by the first reload.
 *
 * @throws GatewayError `internal`; `store_unavailable`, also where half of a restore is.
 */
export async function chooseFirstPolicy(options: {
  readonly policies: string;
  readonly data: string;
  readonly environment: Environment;
  readonly startsAsWritten?: boolean;
}): Promise<FirstPolicy> {
  const { data, environment, policies } = options;
  const onDisk = { ...readFirstPolicy(options), path: policies, isKept: false };
  if (options.startsAsWritten === true) return onDisk;
  // A new master key beside half of a restore would be in the way of the other half.
  await refuseHalfRestored({ choice: onDisk.policy.store, data, environment });
  const kept = await readKeptPolicy(data, await readKeyring(onDisk.policy, data, environment));
  if (kept === undefined || kept.contentHash === onDisk.candidate.contentHash) return onDisk;
  const parsed = policySchema.safeParse(kept.raw);
  // Another version of this program had other fields; its operator has brought this one.
  if (!parsed.success) return onDisk;
  if (loweredProtection({ raw: kept.raw, settings: parsed.data }, onDisk.candidate).length === 0)
    return onDisk;
  const path = await layOutPolicy(data, kept);
  return { ...readFirstPolicy({ policies: path, environment }), path, isKept: true };
}
