import { GatewayError } from '../core/gateway-error.ts';
import type { FamilyState } from './session-store.ts';
import type { Tombstone } from './store-copy.ts';

/** The state of a session that a restore ended. */
export function endedState({ createdMs, endsMs, generation }: Tombstone): FamilyState {
  return {
    status: 'dead',
    reason: 'revoked',
    generation,
    confirmedMs: createdMs,
    seenMs: createdMs,
    endsMs,
    active: [],
    candidates: [],
    previous: [],
    unadopted: 0,
    regressed: false,
  };
}

/** What is said when a store is to be filled that holds something. */
export function notEmpty(where: string): GatewayError {
  return new GatewayError('internal', `${where} is not empty: a restore fills an empty store`);
}
