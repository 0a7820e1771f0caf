import type { Environment } from '../config/environment.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { loadPolicy } from '../policy/load-policy.ts';
import { formatMistake, type Mistake } from '../policy/mistake.ts';
import { notInForce } from '../policy/not-in-force.ts';
import type { Policy } from '../policy/policy.ts';
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
  return refused.length > 0 ? { mistakes: [...refused] } : { policy: loaded.policy, notices: waiting };
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
