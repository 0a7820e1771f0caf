import type { BeginRule, CredentialChangeRule, ObserveRule, Policy } from '../policy/policy.ts';
import { parseBodyFields } from '../policy/body-fields.ts';
import { valuesOf } from '../policy/parameter-name.ts';
import type { BodyFields, RequestRule, ValueSource } from '../policy/recognition.ts';
import type { RequestBody } from '../proxy/request-body.ts';
import { refuseCrossSite } from './cross-site.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineReport } from './services.ts';

/** Only a small login or password form is read, to learn the person's name. */
const FORM_BYTES = 64 * 1024;
const PARTIAL = new Set(['range', 'if-range', 'if-none-match', 'if-modified-since', 'accept-encoding']);

/** What a request may turn out to be, once its answer says that it succeeded. */
export interface Recognition {
  readonly begins: readonly BeginRule[];
  readonly changes: readonly CredentialChangeRule[];
  readonly ends: boolean;
  /** Answers in which the CRM may hand out its own credential. */
  readonly handOuts: readonly ObserveRule[];
  readonly fields: BodyFields | undefined;
}

/**
 * Recognises sign-in, sign-out and credential change of an unmodified CRM by the policy's rules.
 *
 * @returns `undefined` for a request that is none of them (nearly all), a promise when a small body must be read.
 * @throws GatewayError `cross_site` when another site tries to sign somebody in.
 */
export function recognise(
  context: RequestContext,
  body: RequestBody | undefined,
  report: PipelineReport,
): Recognition | undefined | Promise<Recognition | undefined> {
  const { sessions, apiKeys } = context.snapshot.policy;
  const begins = sessions.begin.filter((rule) => rule.matches.head(context));
  const changes = sessions.credentialChange.filter((rule) => rule.matches.head(context));
  const ends = sessions.end.filter((rule) => rule.head(context));
  const handOuts = apiKeys.observe.filter((rule) => rule.matches.head(context));
  const rules = [...begins, ...changes, ...handOuts];
  if (rules.length === 0 && ends.length === 0) return undefined;
  if (handOuts.length > 0) askForWhole(context);
  if (begins.length > 0) refuseCrossSite(context);
  const found = { begins, changes, ends, handOuts };
  const wantsBody = rules.some((rule) => needsBody(rule)) || ends.some((rule) => rule.body);
  if (!wantsBody || body === undefined) return settle(found, undefined);
  return body.peek(FORM_BYTES).then((bytes) => {
    if (bytes === undefined && changes.length > 0)
      report.notice('a body is too long to see whether it changes a credential', { path: context.path });
    const fields = bytes === undefined ? undefined : parseBodyFields(context.head.contentType, bytes);
    return settle(found, fields);
  });
}

/** Whether any rule could be meant by a request, so that the common case costs one look. */
export function mayRecognise({ sessions, apiKeys }: Policy, context: RequestContext): boolean {
  for (const rule of sessions.begin) if (rule.matches.head(context)) return true;
  for (const rule of sessions.end) if (rule.head(context)) return true;
  for (const rule of sessions.credentialChange) if (rule.matches.head(context)) return true;
  for (const rule of apiKeys.observe) if (rule.matches.head(context)) return true;
  return false;
}

/** Reads a person's name from where a rule says it stands. */
export function readSubject(
  source: ValueSource,
  context: RequestContext,
  fields: BodyFields | undefined,
  answerHeader: (name: string) => string | undefined,
): string | undefined {
  const text = readValue(source, context, fields, answerHeader)?.trim();
  return text === undefined || text === '' || text.length > 256 ? undefined : text;
}

function readValue(
  source: ValueSource,
  context: RequestContext,
  fields: BodyFields | undefined,
  answerHeader: (name: string) => string | undefined,
): string | undefined {
  switch (source.from) {
    case 'form':
      return fields?.form(source.name);
    case 'json':
      return fields?.json(source.path);
    case 'query': {
      // Two different values: the upstream may take the other one.
      const [first, ...others] = valuesOf(context.query, source.name);
      const isOne = others.every((value) => value === first);
      // Bytes that are no UTF-8 all decode to the same character.
      return isOne && first?.includes('\uFFFD') === false ? first : undefined;
    }
    case 'header':
      return answerHeader(source.name);
  }
}

/** A credential is taken out of a whole answer: no part of one, and none that says "as before". */
function askForWhole({ head: { forward } }: RequestContext): void {
  for (let i = forward.length - 2; i >= 0; i -= 2) if (PARTIAL.has(forward[i] ?? '')) forward.splice(i, 2);
}

function needsBody(rule: BeginRule | CredentialChangeRule | ObserveRule): boolean {
  if (rule.matches.body !== undefined) return true;
  return rule.subject !== 'session' && (rule.subject.from === 'form' || rule.subject.from === 'json');
}

function settle(
  {
    begins,
    changes,
    ends,
    handOuts,
  }: Omit<Recognition, 'ends' | 'fields'> & { ends: readonly RequestRule[] },
  fields: BodyFields | undefined,
): Recognition | undefined {
  const meant = (rule: RequestRule) => rule.body === undefined || (fields !== undefined && rule.body(fields));
  const recognition = {
    begins: begins.filter((rule) => meant(rule.matches)),
    changes: changes.filter((rule) => meant(rule.matches)),
    ends: ends.some(meant),
    // A body that cannot be read may be meant: what its answer hands out must not pass unseen.
    handOuts: handOuts.filter((rule) => fields === undefined || meant(rule.matches)),
    fields,
  };
  const rules = [...recognition.begins, ...recognition.changes, ...recognition.handOuts];
  return rules.length > 0 || recognition.ends ? recognition : undefined;
}
