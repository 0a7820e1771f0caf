import { GatewayError } from '../core/gateway-error.ts';
import { parseBodyFields } from '../policy/body-fields.ts';
import type { BodyFields } from '../policy/recognition.ts';
import type { RequestBody } from '../proxy/request-body.ts';
import { isForeignSite } from './cross-site.ts';
import { limitAccountPage } from './limit.ts';
import type { OwnAnswer } from './own-page.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { issueSuccessor } from './upstream-cookies.ts';

/** Its forms are small. */
export const ACCOUNT_BODY_BYTES = 16 * 1024;

/**
 * Lets a person to the own account page: a session is wanted (strangers are sent to sign in), no other site may act for
 * it, and a successor of the session's id goes out when one is due, as with any answer.
 *
 * @param openBody the request's body, if there is one.
 * @throws GatewayError `method_refused`, `session_required`, `session_ended`, `cross_site`, `rate_limited`,
 *   `body_too_large`, `bad_request`, `store_unavailable`, `audit_unavailable`.
 */
export async function accountDoor(
  context: RequestContext,
  services: PipelineServices,
  openBody: () => RequestBody | undefined,
): Promise<OwnAnswer> {
  const { method } = context;
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST')
    throw new GatewayError('method_refused', `method ${method} on ${context.path}`);
  limitAccountPage(context, services.limits, requireSession(context));
  if (method === 'POST' && isForeignSite(context))
    throw new GatewayError('cross_site', `a form from ${context.head.fetchSite ?? 'another origin'}`);
  const form = method === 'POST' ? await readForm(context, openBody()) : undefined;
  const { status, headers, body } = await services.accountPage.answer(context, form);
  const { strictTransport } = context.snapshot;
  if (strictTransport !== '') headers.push('strict-transport-security', strictTransport);
  const successor = await issueSuccessor(context, services);
  if (successor !== undefined) headers.push('set-cookie', successor);
  return { status, headers, body: method === 'HEAD' ? Buffer.alloc(0) : body };
}

/** @returns the id of the person's session. */
function requireSession({ session, verdict }: RequestContext): string {
  if (session?.subject !== undefined) return session.id;
  if (verdict.kind === 'ended')
    throw new GatewayError('session_ended', `the session ended: ${verdict.reason}`);
  throw new GatewayError('session_required', 'no live session');
}

async function readForm({ head }: RequestContext, body: RequestBody | undefined): Promise<BodyFields> {
  const bytes = body === undefined ? Buffer.alloc(0) : await body.peek(ACCOUNT_BODY_BYTES);
  const fields = bytes === undefined ? undefined : parseBodyFields(head.contentType, bytes);
  if (fields === undefined) throw new GatewayError('bad_request', 'the body is no form');
  return fields;
}
