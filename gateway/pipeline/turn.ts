import type { Turn } from './limit-holding.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';

/**
 * Takes a place in every limit of requests at once that the request comes under, and waits where there is none.
 *
 * @returns nothing when there were places; a promise otherwise, which may resolve after the client has gone.
 * @throws GatewayError `rate_limited`.
 */
function takeTurn(context: RequestContext): void | Promise<void> {
  const { turns } = context;
  if (turns === undefined) return undefined;
  for (const [index, turn] of turns.entries()) {
    context.refusedBy = turn.places.name;
    const pending = turn.places.enter(turn.name);
    if (pending !== undefined) return waitForTurns(context, turn, pending, turns.slice(index + 1));
    hold(context, turn);
  }
  context.refusedBy = undefined;
  return undefined;
}

/**
 * What a request waits for once it may go on: an administrator's is on record first, and everybody's has its turn.
 *
 * @throws GatewayError `rate_limited`; `audit_unavailable` when nothing can be put on record.
 */
export function awaitTurn(context: RequestContext, services: PipelineServices): void | Promise<void> {
  const { administrator } = context;
  const recorded = administrator && services.administration.record(context, administrator);
  return recorded === undefined ? takeTurn(context) : recorded.then(() => takeTurn(context));
}

/** Gives all places back; further calls do nothing. A place that is granted after this is given back at once. */
export function leaveTurn(context: RequestContext): void {
  const held = context.heldTurns;
  context.hasLeft = true;
  context.heldTurns = undefined;
  for (const { places, name } of held ?? []) places.leave(name);
}

async function waitForTurns(
  context: RequestContext,
  first: Turn,
  pending: Promise<void>,
  others: readonly Turn[],
): Promise<void> {
  await pending;
  hold(context, first);
  for (const turn of others) {
    context.refusedBy = turn.places.name;
    await turn.places.enter(turn.name);
    hold(context, turn);
  }
  context.refusedBy = undefined;
}

function hold(context: RequestContext, turn: Turn): void {
  if (context.hasLeft) turn.places.leave(turn.name);
  else if (context.heldTurns === undefined) context.heldTurns = [turn];
  else context.heldTurns.push(turn);
}
