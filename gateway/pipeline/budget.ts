import type { IncomingHttpHeaders } from 'node:http';

import { GatewayError } from '../core/gateway-error.ts';
import type { LimitedBy } from '../policy/policy.ts';
import type { WindowRate } from '../rate-limit/window-rate.ts';
import type { Budget } from './limit-holding.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';

/**
 * Has a request draw on a budget of answer bytes, if anything is left of it.
 *
 * @throws GatewayError `rate_limited`.
 */
export function openBudget(
  context: RequestContext,
  services: PipelineServices,
  of: string,
  rate: WindowRate,
  by: LimitedBy,
  name: string,
): void {
  const limit = services.limits.find(rate);
  const slot = limit.look(name);
  const budget = { of, rate, by, limit, name, slot, atMs: services.limits.now() };
  if (context.budgets === undefined) context.budgets = [budget];
  else context.budgets.push(budget);
  if (slot.remaining <= 0) throw refusal(context, services, budget);
}

/**
 * Draws bytes of an answer's body from every budget of a request.
 *
 * @returns the refusal that is due when one of them is used up.
 */
export function spend(
  context: RequestContext,
  services: PipelineServices,
  bytes: number,
): GatewayError | undefined {
  if (context.budgets === undefined || bytes === 0) return undefined;
  let refused: GatewayError | undefined;
  for (const budget of context.budgets) {
    services.limitReport.spent(budget.of, bytes);
    if (budget.limit.spend(budget.name, bytes).remaining <= 0) refused = refusal(context, services, budget);
  }
  return refused;
}

/**
 * Whether an answer of a known length is longer than what is left of a budget. It is refused before its first byte,
 * because half of it would be of no use to anybody.
 */
export function exceedsBudget(
  context: RequestContext,
  services: PipelineServices,
  headers: IncomingHttpHeaders,
): GatewayError | undefined {
  const length = headers['content-length'];
  if (context.budgets === undefined || length === undefined || context.method === 'HEAD') return undefined;
  const bytes = Number(length);
  const short = context.budgets.find(({ slot }) => bytes > slot.remaining);
  return short && refusal(context, services, short);
}

/** Told once in each window of a holder, however often one comes again. */
function refusal(context: RequestContext, services: PipelineServices, budget: Budget): GatewayError {
  const { of, slot, by } = budget;
  context.refusedBy = of;
  if (!slot.isTold) {
    slot.isTold = true;
    services.limitReport.budgetSpent(context, of, by);
  }
  const leftMs = slot.endsMs - services.limits.now();
  return new GatewayError('rate_limited', `the budget of limit "${of}" by ${by} is used up`, {
    retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1000)),
  });
}

/** Draws the bytes of one answer from the budgets of its request: a long one as it goes, a short one at its end. */
export class AnswerMeter {
  isLong = false;
  readonly #context: RequestContext;
  readonly #services: PipelineServices;
  #drawnBytes = 0;

  constructor(context: RequestContext, services: PipelineServices) {
    this.#context = context;
    this.#services = services;
  }

  /** Bytes are about to leave. @returns the refusal when they must not. */
  pass(bytes: number): GatewayError | undefined {
    if (!this.isLong || this.#context.budgets === undefined) return undefined;
    this.#drawnBytes += bytes;
    return spend(this.#context, this.#services, bytes);
  }

  /** The answer is over. */
  close(sentBytes: number): void {
    if (this.#context.forwarding !== undefined)
      spend(this.#context, this.#services, sentBytes - this.#drawnBytes);
  }
}
