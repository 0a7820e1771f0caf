import type { UserContext } from './crm-context.ts';
import { CrmProblem } from './crm-problem.ts';
import type { LiveListener } from './live-hub.ts';

const HEARTBEAT_MS = 15_000;
/** A reader this far behind is cut off; an EventSource comes back by itself. */
const BACKLOG_LIMIT_BYTES = 1024 * 1024;

/** Feeds the account's changes as server-sent events until the client or the node goes. */
export function serveLiveEvents({ crm, request, response, account }: UserContext): void {
  const listener: LiveListener = {
    account,
    send: (change) => {
      response.write(`event: change\ndata: ${JSON.stringify(change)}\n\n`);
      if (response.writableLength > BACKLOG_LIMIT_BYTES) response.destroy();
    },
    close: () => response.end(),
  };
  if (request.method === 'HEAD') throw new CrmProblem(405, 'an event stream has no head');
  if (!crm.live.add(listener)) throw new CrmProblem(503, 'too many live feeds');
  const heartbeat = setInterval(() => response.write(': still here\n\n'), HEARTBEAT_MS).unref();
  response.once('close', () => {
    clearInterval(heartbeat);
    crm.live.remove(listener);
  });
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store',
  });
  response.write(`retry: 3000\nevent: hello\ndata: ${JSON.stringify({ account })}\n\n`);
}
