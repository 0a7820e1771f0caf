import type { IncomingHttpHeaders } from 'node:http';

import { GatewayError } from '../core/gateway-error.ts';
import { isHeaderValue } from '../core/header-value.ts';
import { clientNetwork } from '../core/network.ts';
import type { ObserveRule } from '../policy/policy.ts';
import type { BodyFields, ValueSource } from '../policy/recognition.ts';
import { type AnswerReplacement, headerValues } from './answer-headers.ts';
import { answerHead, type ObservedAnswer, readHeader } from './answer-outcome.ts';
import { answerText } from './answer-text.ts';
import { readSubject } from './recognise.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';

/** Keys that took the place of a credential are told apart by this label. */
const HANDED_OUT = 'sign-in';

/** The answer's credential, and the answer with another text in its place. */
interface Found {
  readonly credential: string;
  replacedBy(text: string): AnswerReplacement;
}

/**
 * Takes the CRM's own credential out of an answer that hands it out, seals it with the keys of its person, and gives the
 * client what the rule says in its place: a key of the gateway's own, for example.
 *
 * @returns what changes about the answer; `undefined` when nothing does.
 * @throws GatewayError `upstream_failed` when the credential would pass unseen: the answer is longer than 64 KiB, no
 *   JSON, or nobody's. `store_unavailable`, `audit_unavailable` when it cannot be kept; then it does not reach the client either.
 */
export async function handOut(
  context: RequestContext,
  services: PipelineServices,
  rules: readonly ObserveRule[],
  fields: BodyFields | undefined,
  answer: ObservedAnswer,
): Promise<AnswerReplacement | undefined> {
  const head = answerHead(answer.status, answer.headers);
  const rule = rules.find(({ success }) => success.head(head));
  if (rule === undefined || context.method === 'HEAD') return undefined;
  const text = textOf(answer);
  if (rule.success.body !== undefined && (text === undefined || !rule.success.body(text))) {
    // What cannot be read may be a success too.
    if (text !== undefined) return undefined;
    return refused(context, services, rule);
  }
  const found = find(rule.credential, answer.headers, text);
  if (found === 'none') return undefined;
  const subject =
    rule.subject === 'session'
      ? context.subject
      : readSubject(rule.subject, context, fields, readHeader(answer));
  if (found === undefined || subject === undefined || !isHeaderValue(found.credential))
    return refused(context, services, rule);
  return keep(context, services, rule, subject, found);
}

/** Only a rule that lets the credential pass anyway lets it pass unseen. */
function refused(context: RequestContext, services: PipelineServices, rule: ObserveRule): undefined {
  services.report.notice('an answer hands out a credential that could not be taken', { path: context.path });
  if (rule.clientGets === 'credential') return undefined;
  throw new GatewayError('upstream_failed', 'an answer hands out a credential that could not be taken');
}

async function keep(
  { account, path, clientAddress, requestId }: RequestContext,
  { keys, report, audit }: PipelineServices,
  rule: ObserveRule,
  subject: string,
  found: Found,
): Promise<AnswerReplacement | undefined> {
  const count = await keys.setUpstreamCredential(account, subject, found.credential);
  if (rule.clientGets !== 'key') {
    if (count === 0) report.notice('a credential was seen of a person who has no key to keep it', { path });
    return rule.clientGets === 'nothing' ? found.replacedBy('') : undefined;
  }
  const person = { account, subject };
  await audit.commit({
    event: 'key.issue',
    facts: { by: HANDED_OUT, account, from: clientNetwork(clientAddress), request: requestId },
    person,
  });
  const issued = await keys.issue({
    account,
    subject,
    label: HANDED_OUT,
    upstreamCredential: found.credential,
  });
  const given = (await keys.list({ account, subject })).filter(
    ({ id, label, state }) =>
      label === HANDED_OUT && id !== issued.id && (state === 'active' || state === 'expiring'),
  );
  given.sort((one, other) => other.created_at.localeCompare(one.created_at));
  for (const { id } of given.slice(rule.keys - 1)) await keys.revoke(id);
  return found.replacedBy(issued.key);
}

function textOf({ prefix, headers }: ObservedAnswer): string | undefined {
  if (prefix === undefined) return undefined;
  return answerText(prefix, headerValues(headers, 'content-encoding').join(', '), headers['content-type']);
}

/** @returns `none` when the answer was read and has no credential, `undefined` when it cannot be read. */
function find(
  source: ValueSource,
  headers: IncomingHttpHeaders,
  text: string | undefined,
): Found | 'none' | undefined {
  if (source.from === 'header') {
    const [credential, ...others] = headerValues(headers, source.name);
    if (credential === undefined || credential === '') return 'none';
    if (others.length > 0) return undefined;
    return { credential, replacedBy: (value) => ({ header: { name: source.name, value } }) };
  }
  if (source.from !== 'json') return undefined;
  const root = parse(text);
  if (root === undefined) return undefined;
  const credential = valueAt(root.value, source.path);
  if (typeof credential !== 'string' || credential === '') return 'none';
  return {
    credential,
    // Wherever else the answer repeats it, too.
    replacedBy: (value) => ({
      body: Buffer.from(JSON.stringify(replaceText(root.value, credential, value))),
    }),
  };
}

/** A part of an answer is no JSON, so what was longer than could be read is refused here. */
function parse(text: string | undefined): { value: unknown } | undefined {
  try {
    return text === undefined ? undefined : { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function replaceText(value: unknown, wanted: string, text: string): unknown {
  if (typeof value === 'string') return value.replaceAll(wanted, text);
  if (Array.isArray(value)) return value.map((each) => replaceText(each, wanted, text));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, replaceText(each, wanted, text)]),
  );
}
