import type { AccessLine } from '../../gateway/observability/access-line.ts';
import { createLogger } from '../../gateway/observability/logger.ts';
import type { LogLevel } from '../../gateway/observability/logger.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A log whose lines are kept. */
export function openLog(level: LogLevel = 'trace') {
  const lines: string[] = [];
  const clock = new ManualClock(Date.UTC(2026, 10, 24, 3, 4, 5, 6));
  const logger = createLogger({ level, clock, destination: { write: (line) => void lines.push(line) } });
  const entry = (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>;
  return { logger, lines, clock, entry, text: () => lines.join('') };
}

/** An ordinary request. */
export const LINE: AccessLine = {
  requestId: '0af7651916cd43dd8448eb211c80319c',
  method: 'GET',
  host: 'acme.crm.localhost',
  path: '/leads/42',
  search: '',
  status: 200,
  bytesIn: 0,
  bytesOut: 1024,
  gatewayMs: 0.4567,
  upstreamMs: 12.34,
  clientAddress: '192.0.2.7',
  protocol: '2',
  route: 'app',
  account: 'acme',
  sessionId: 'Zk3vQmX1r0yTn2aB9cD4eF',
  subjectHash: 'f00d',
  region: 'msk',
  node: 'http://127.0.0.1:9101',
  code: undefined,
  complete: true,
};
