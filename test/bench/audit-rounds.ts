import { join } from 'node:path';

import { createAuditKeys } from '../../gateway/audit/audit-keys.ts';
import { type AuditEntry, AuditQueue } from '../../gateway/audit/audit-queue.ts';
import { TrailWriter } from '../../gateway/audit/trail-writer.ts';
import type { AuditEvent } from '../../gateway/core/audit-event.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { scratch } from './children.ts';
import type { MicroFigures } from './micro-rounds.ts';

const NOTES = 100_000;
const BATCHES = 100;
/** As many as come together when a hundred people sign in within the time that a batch is gathered. */
const BATCH = 100;
const quiet = {
  written: () => undefined,
  lost: () => undefined,
  failed: () => undefined,
  recovered: () => undefined,
};

/** Measures what an event costs the one who notes it, and what its record costs behind that. */
export async function auditRounds(): Promise<MicroFigures[]> {
  const event = (index: number): AuditEvent => ({
    event: 'session.signed_in',
    facts: { session: `session-${index}`, account: 'main', from: 'anonymous' },
    person: { account: 'main', subject: `person-${index}` },
  });
  const nowhere = { isDue: false, append: () => Promise.resolve(1), finish: () => Promise.resolve() };
  const queue = new AuditQueue({
    writer: nowhere,
    clock: systemClock,
    observer: quiet,
    waitingLimit: 2 * NOTES,
  });
  const noted = cpuOf(() => {
    for (let index = 0; index < NOTES; index += 1) queue.note(event(index));
  });
  await queue.close(1000);
  const writer = new TrailWriter({
    directory: join(scratch, 'audit'),
    heads: join(scratch, 'audit-heads'),
    keys: createAuditKeys(parseKeyring(createMasterKey())),
    clock: systemClock,
    process: {},
    signed: () => undefined,
  });
  const entries: AuditEntry[] = Array.from({ length: BATCH }, (_, index) => {
    const { event: name, facts = {}, person } = event(index);
    return { atMs: systemClock.now(), event: name, facts, person };
  });
  await writer.append(entries);
  const before = process.cpuUsage();
  for (let batch = 0; batch < BATCHES; batch += 1) await writer.append(entries);
  const written = total(process.cpuUsage(before));
  await writer.finish();
  return [
    { name: 'audit: a security event noted', microseconds: noted / NOTES },
    { name: 'audit: its record written, behind that', microseconds: written / (BATCHES * BATCH) },
  ];
}

function cpuOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  return total(process.cpuUsage(before));
}

function total({ user, system }: NodeJS.CpuUsage): number {
  return user + system;
}
