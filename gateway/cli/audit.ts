import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { createAuditKeys } from '../audit/audit-keys.ts';
import { headsDirectory } from '../audit/trail-head.ts';
import type { TrailGap, TrailProblem, TrailReport } from '../audit/trail-report.ts';
import { type TrailClaim, verifyTrail } from '../audit/verify-trail.ts';
import { type AuditFlags, findTrail, readMaster, readVerifier } from './audit-place.ts';
import { runTail } from './audit-tail.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

const OPTIONS = {
  data: { type: 'string', multiple: true },
  dir: { type: 'string' },
  policies: { type: 'string' },
  'master-key': { type: 'string' },
  'public-key': { type: 'string' },
  anchor: { type: 'string' },
  json: { type: 'boolean', default: false },
  follow: { type: 'boolean', short: 'f', default: false },
  lines: { type: 'string', short: 'n', default: '20' },
  subject: { type: 'string' },
  event: { type: 'string' },
} as const;

/** What `zasov audit --help` shows. */
export const AUDIT_USAGE = `zasov audit verify [--data DIR …] [--dir DIR] [--public-key FILE | --master-key REF] [--anchor LOG] [--json]
       zasov audit tail [--data DIR] [--follow] [--lines N] [--subject ACCOUNT/SUBJECT] [--event NAME] [--json]
       zasov audit key [--data DIR]
       each with [--master-key REF | --policies DIR|FILE] where the key is not DATA/master.key`;

/**
 * `zasov audit verify|tail|key`: checks the audit trail, shows it, or prints the public keys to check it with
 * elsewhere. Needs no running gateway.
 *
 * @returns the exit code: 1 when the trail is not as it was written. @throws UsageError.
 */
export async function runAudit(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const [action, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(AUDIT_USAGE);
  const flags = { ...values, data: values.data ?? ['var'] };
  if (action === 'verify') return await verify(flags, flags.anchor, flags.json);
  if (action === 'tail') return await runTail(flags);
  if (action === 'key') {
    process.stdout.write(createAuditKeys(readMaster(flags)).publicKeys.join(''));
    return 0;
  }
  throw new UsageError(AUDIT_USAGE);
}

async function verify(flags: AuditFlags, anchor: string | undefined, isJson: boolean): Promise<number> {
  const keys = readVerifier(flags);
  const directory = await findTrail(flags, keys);
  const anchors = anchor === undefined ? [] : readAnchors(anchor);
  const place = { directory, heads: flags.data.map(headsDirectory) };
  const report = await verifyTrail(place, keys, anchors);
  if (isJson) process.stdout.write(`${JSON.stringify({ directory, ...report })}\n`);
  else process.stdout.write(`${describe(directory, report)}\n`);
  return report.ok ? 0 : 1;
}

function describe(directory: string, { ok, writers, gaps, problems }: TrailReport): string {
  const headings = ['writer', 'files', 'records', 'checkpoints', 'crashes', 'lost', 'first', 'last'];
  const cells = writers.map((each) => [
    each.writer,
    String(each.files),
    String(each.records),
    String(each.checkpoints),
    String(each.crashes),
    String(each.lost),
    each.first ?? '-',
    each.last ?? '-',
  ]);
  const findings = problems.map((problem) => `${placeOf(directory, problem)}: ${whatOf(problem)}`);
  const count = `${problems.length} finding${problems.length === 1 ? '' : 's'}`;
  const verdict = ok
    ? `${directory}: good, every record is in its place`
    : `${directory}: ${count}: this is not the trail that was written`;
  const above = [...findings, ...gaps.map(gapText)];
  return [...above, ...(above.length === 0 ? [] : ['']), table(headings, cells), '', verdict].join('\n');
}

function gapText({ writer, from, to, archive, restored }: TrailGap): string {
  const missing =
    to === undefined
      ? `nothing behind record ${from - 1} is known to be missing`
      : `records ${from} to ${to} are missing`;
  return `gap (writer ${writer}): ${missing}: restored from ${archive} at ${restored}`;
}

function placeOf(directory: string, { file, line, writer }: TrailProblem): string {
  return file === undefined ? `${directory} (writer ${writer})` : `${directory}/${file}:${line ?? 0}`;
}

function whatOf({ kind, seq, to, says }: TrailProblem): string {
  if (seq === undefined) return `${kind}: ${says}`;
  return to === undefined ? `record ${seq}: ${kind}: ${says}` : `records ${seq} to ${to}: ${kind}: ${says}`;
}

/** The checkpoints that a log of the gateway tells of. Other lines of it are passed over. */
function readAnchors(file: string): TrailClaim[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      const { msg, writer, seq, fingerprint: hash } = parse(line);
      const isClaim =
        msg === 'audit checkpoint' &&
        typeof writer === 'string' &&
        typeof seq === 'number' &&
        typeof hash === 'string';
      return isClaim ? [{ writer, seq, hash, by: `${file}:${index + 1}` }] : [];
    });
}

function parse(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
