import { foldName } from '../core/fold-name.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { clientNetwork } from '../core/network.ts';
import type { FailuresBy } from '../rate-limit/sign-in-limit.ts';
import type { Attempt } from './limit-holding.ts';
import { readSubject, type Recognition } from './recognise.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';

/** Who is counted at an attempt. */
interface Claim {
  readonly by: FailuresBy;
  readonly name: string;
}

/**
 * Lets an attempt to sign in go on, or refuses it because too many failed (OWASP Authentication Cheat Sheet, "Protect
 * Against Automated Attacks"). The name is counted as it was typed, whether such a person exists or not. A client that
 * signed the same person in before is counted by itself: others cannot lock it out.
 *
 * @returns `undefined` when this is no attempt; otherwise it rejects with GatewayError `sign_in_blocked`.
 */
export function guardSignIn(
  context: RequestContext,
  services: PipelineServices,
  recognition: Recognition | undefined,
): Promise<void> | undefined {
  const { signInRules } = context.snapshot.policy;
  if (signInRules.length === 0 || recognition === undefined || !triesPassword(recognition)) return undefined;
  const subject = claimedSubject(context, recognition);
  // Looking at the form is no attempt.
  if (subject === undefined && (context.method === 'GET' || context.method === 'HEAD')) return undefined;
  return takePlaces(context, services, subject);
}

async function takePlaces(
  context: RequestContext,
  services: PipelineServices,
  subject: string | undefined,
): Promise<void> {
  const { signInRules } = context.snapshot.policy;
  const attempts: Attempt[] = [];
  for (const rule of signInRules) {
    for (const { by, name } of claims(context, services, rule.per, subject)) {
      const limit = services.limits.signIn(rule, by);
      const closedMs = await limit.attempt(name);
      if (closedMs > 0) throw refuse(context, attempts, rule.name, closedMs);
      attempts.push({ of: rule.name, by, limit, name });
    }
  }
  context.signIn = { attempts, isSettled: false };
}

/**
 * Settles an attempt: one that succeeded, or that nobody judged, gives its places back; any other failed. An attempt
 * whose client went away before the answer counts as failed, or guesses could be made without being counted.
 */
export function settleSignIn(
  context: RequestContext,
  services: PipelineServices,
  outcome: 'succeeded' | 'failed' | 'unjudged',
): void {
  const { signIn } = context;
  if (signIn === undefined || signIn.isSettled) return;
  signIn.isSettled = true;
  if (outcome === 'failed') services.limitReport.signInFailed();
  for (const { of, by, limit, name } of signIn.attempts) {
    if (outcome !== 'failed') limit.giveBack(name);
    else
      void limit.failed(name).then((block) => {
        if (block !== undefined) services.limitReport.signInBlocked(context, of, by, block);
      });
  }
}

function claims(
  context: RequestContext,
  services: PipelineServices,
  per: readonly ('client' | 'subject' | 'account')[],
  subject: string | undefined,
): Claim[] {
  const { account, knownCookie } = context;
  const device = subject && services.knownClients.find(knownCookie, account, subject);
  if (device !== undefined && device !== '') return [{ by: 'device', name: device }];
  return per.flatMap((by): Claim[] => {
    if (by === 'client') return [{ by, name: clientNetwork(context.clientAddress) }];
    if (by === 'account') return [{ by, name: account }];
    return subject === undefined ? [] : [{ by, name: `${account}\n${foldName(subject)}` }];
  });
}

/** A credential is handed out for a password, too, unless a session asks for it. */
function triesPassword({ begins, handOuts }: Recognition): boolean {
  return begins.length > 0 || handOuts.some(({ subject }) => subject !== 'session');
}

function claimedSubject(
  context: RequestContext,
  { begins, handOuts, fields }: Recognition,
): string | undefined {
  for (const { subject } of [...begins, ...handOuts]) {
    if (subject === 'session') continue;
    const claimed = readSubject(subject, context, fields, () => undefined);
    if (claimed !== undefined) return claimed;
  }
  return undefined;
}

function refuse(
  context: RequestContext,
  attempts: readonly Attempt[],
  rule: string,
  closedMs: number,
): GatewayError {
  for (const { limit, name } of attempts) limit.giveBack(name);
  context.refusedBy = rule;
  return new GatewayError('sign_in_blocked', `too many sign-ins failed: limit "${rule}"`, {
    retryAfterSeconds: Math.ceil(closedMs / 1000),
  });
}
