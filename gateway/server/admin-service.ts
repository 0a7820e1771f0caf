import type { Administrator } from '../admin/admin.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { AdminServices } from '../pipeline/admin-services.ts';
import type { OwnAnswer } from '../pipeline/own-page.ts';
import type { RequestContext } from '../pipeline/request-context.ts';
import type { RequestBody } from '../proxy/request-body.ts';

/** Answers the paths of the gateway's own below one prefix for an administrator. */
export type AdminPage = (
  context: RequestContext,
  administrator: Administrator,
  body: RequestBody | undefined,
) => OwnAnswer | Promise<OwnAnswer> | undefined;

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What the pipeline needs where administrators are served. @param pages asked one after the other. */
export function createAdminService(audit: AuditSink, pages: readonly AdminPage[]): AdminServices {
  return {
    record: (context, { name }) => {
      const { method, account, path, route, requestId, message } = context;
      if (READING.has(method)) return undefined;
      const facts = {
        administrator: name,
        account,
        method,
        route: route?.name,
        path,
        peer: message.peerAddress,
        request: requestId,
      };
      return audit.commit({ event: 'admin.request', facts });
    },
    answer: (context, administrator, body) => {
      for (const page of pages) {
        const answer = page(context, administrator, body);
        if (answer !== undefined) return answer;
      }
      return undefined;
    },
  };
}
