import type { Administrator } from '../admin/admin.ts';
import type { RequestBody } from '../proxy/request-body.ts';
import type { OwnAnswer } from './own-page.ts';
import type { RequestContext } from './request-context.ts';

/** The largest body for the gateway's own paths there: a proposal names every protection that a policy lowers. */
export const ADMIN_BODY_BYTES = 256 * 1024;

/** What the stages need where administrators are served. */
export interface AdminServices {
  /**
   * Puts what an administrator is about to do in the CRM on record, before it is done.
   *
   * @returns `undefined` for what only reads: that is written behind it.
   * @throws GatewayError `audit_unavailable`: then it is not done.
   */
  record(context: RequestContext, administrator: Administrator): Promise<void> | undefined;
  /**
   * Answers the gateway's own paths for an administrator.
   *
   * @returns `undefined` where there is none.
   * @throws GatewayError as the path has it.
   */
  answer(
    context: RequestContext,
    administrator: Administrator,
    body: RequestBody | undefined,
  ): OwnAnswer | Promise<OwnAnswer> | undefined;
}
