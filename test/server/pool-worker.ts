/** A worker that serves nothing: `pool-worker.ts`. The version it is told decides how it behaves. */
import { type CallHandlers, ProcessLink } from '../../gateway/server/process-link.ts';
import type { SupervisorCalls, WorkerCalls } from '../../gateway/server/worker-calls.ts';

const handlers: Partial<CallHandlers<WorkerCalls>> = {
  start: ({ version }) => {
    if (version === 'refuses') throw new Error('the port is taken');
    if (version === 'dies') setTimeout(() => process.exit(3), 10);
    return true;
  },
  drain: () => {
    setImmediate(() => process.exit(0));
    return true;
  },
};
void new ProcessLink<SupervisorCalls, WorkerCalls>(process, handlers as CallHandlers<WorkerCalls>);
