import { GatewayError } from '../core/gateway-error.ts';
import type { LoadLevel } from '../observability/event-loop-load.ts';
import type { RequestContext } from './request-context.ts';

/** Whose requests are turned away, cheapest first. */
export type ShedClass = 'anonymous' | 'api_key' | 'person';

const RETRY_SECONDS = 2;

/**
 * Turns requests away while the process is overloaded, so that the others are answered in time: first those of
 * strangers, then those of programs, which ask again by themselves, then those of people. Administrators are never
 * turned away, because somebody must be able to look; health is asked for on another listener.
 *
 * @throws GatewayError `overloaded`.
 */
export function shed(context: RequestContext, level: LoadLevel): void {
  if (level === 0 || context.administrator !== undefined) return;
  const of = shedClass(context);
  if (level > LEVELS[of])
    throw new GatewayError('overloaded', `the event loop is late; ${of} requests are turned away`, {
      retryAfterSeconds: RETRY_SECONDS,
    });
}

/** Up to which level a class is still served. */
const LEVELS: Readonly<Record<ShedClass, LoadLevel>> = { anonymous: 0, api_key: 1, person: 2 };

/** What a request counts as. */
export function shedClass({ key, session }: RequestContext): ShedClass {
  if (key !== undefined) return 'api_key';
  return session?.subject === undefined ? 'anonymous' : 'person';
}
