import { GatewayError } from '../core/gateway-error.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { RequestBody } from '../proxy/request-body.ts';
import type { RequestContext } from './request-context.ts';

/**
 * Opens the body of a request, if it has one.
 *
 * @throws GatewayError `body_too_large` when it is announced longer than it may be; the body itself fails so later.
 */
export function openBody(
  exchange: Exchange,
  { head, snapshot }: RequestContext,
  limitBytes: number,
): RequestBody | undefined {
  if (!exchange.hasBody) return undefined;
  if (head.contentLength !== undefined && Number(head.contentLength) > limitBytes) {
    throw new GatewayError('body_too_large', `a body of ${head.contentLength} bytes is announced`);
  }
  return new RequestBody(exchange, { limitBytes, idleMs: snapshot.policy.protection.bodyIdleTimeoutMs });
}
