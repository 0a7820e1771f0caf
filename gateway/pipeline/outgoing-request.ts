import type { ForwardRequest } from '../proxy/forward-request.ts';
import type { RequestBody } from '../proxy/request-body.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { upstreamHeaders } from './upstream-headers.ts';

/** A request as it goes to the upstream. */
export function outgoingRequest(
  context: RequestContext,
  { signer, clock }: PipelineServices,
  body: RequestBody | undefined,
): ForwardRequest {
  const { protection } = context.snapshot.policy;
  const headers = upstreamHeaders(context, signer, clock.now());
  if (body !== undefined && context.head.contentLength !== undefined) {
    headers.push('content-length', context.head.contentLength);
  }
  return {
    method: context.method,
    path: context.target,
    headers,
    body,
    isReplayable: body === undefined && !context.isWrite,
    takesTrailers: context.head.takesTrailers,
    mayIdle: context.isStream,
    upstreamTimeoutMs: protection.upstreamTimeoutMs,
    // A paused reader is more common than a paused writer.
    stallMs: 2 * protection.bodyIdleTimeoutMs,
  };
}
