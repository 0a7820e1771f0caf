import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { AuditRecord } from '../../gateway/audit/audit-record.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { until } from './worker-node.ts';

/** The records of a trail, as they stand in its files. */
export function recordsIn(directory: string): AuditRecord[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as AuditRecord);
}

/** The records of a gateway's trail. */
export function recordsOf({ data }: RunningGateway): AuditRecord[] {
  return recordsIn(join(data, 'audit'));
}

/** Waits for so many records of an event. @returns them. */
export async function recorded(on: RunningGateway, event: string, count = 1): Promise<AuditRecord[]> {
  const found = () => recordsOf(on).filter((record) => record.event === event);
  await until(`${count} times ${event}`, async () => found().length >= count);
  return found();
}
