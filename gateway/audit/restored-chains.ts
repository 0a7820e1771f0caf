import type { AuditFacts } from '../core/audit-event.ts';
import { type AuditRecord, hashOf, isCheckpoint, parseLine, signedText } from './audit-record.ts';
import type { TrailVerifier } from './audit-keys.ts';
import { listTrail, readLines } from './trail-file.ts';

/** How far a chain was when it came back from a backup. */
export interface RestoredChain {
  readonly writer: string;
  /** The last record that came back; 0 when none did. */
  readonly seq: number;
  readonly hash: string;
  /** The last record that is known to have been there. */
  readonly through: number;
}

/** What a trail says of chains that came back from a backup, and who says it. */
export interface RestoredClaim extends RestoredChain {
  readonly archive: string;
  readonly time: string;
  /** The record that says so. */
  readonly by: string;
}

/** Name of the event that a restored trail goes on with. */
export const RESTORED_EVENT = 'trail.restored';
/** Items that a fact holds at most. */
const CHAINS_LIMIT = 64;

/**
 * Finds where each chain of a trail ends, which came back from a backup, and how far others knew it to be.
 *
 * @param known ends of chains that were seen after the backup: in the journal, say.
 */
export async function surveyChains(
  directory: string,
  known: readonly { readonly writer: string; readonly seq: number; readonly hash: string }[],
): Promise<RestoredChain[]> {
  const chains = new Map<string, Chain>();
  const raise = (writer: string, seq: number, hash?: string) => {
    const chain = chains.get(writer) ?? { seq: 0, hash: '', through: 0 };
    const through = Math.max(chain.through, seq);
    chains.set(writer, {
      ...chain,
      ...(hash !== undefined && seq > chain.seq ? { seq, hash } : {}),
      through,
    });
  };
  for await (const record of recordsOf(directory)) {
    raise(record.writer, record.seq, record.hash);
    for (const other of othersOf(record)) raise(other.writer, other.seq);
  }
  for (const { writer, seq } of known) raise(writer, seq);
  return [...chains].map(([writer, chain]) => ({ writer, ...chain }));
}

type Chain = Omit<RestoredChain, 'writer'>;

async function* recordsOf(directory: string): AsyncGenerator<AuditRecord> {
  for (const [writer, files] of await listTrail(directory))
    for (const { path } of files)
      for await (const { text, isWhole } of readLines(path)) {
        const record = isWhole ? parseLine(text) : undefined;
        if (record?.writer === writer && hashOf(record) === record.hash) yield record;
      }
}

/** The facts of the records that say so: as many as it takes. */
export function restoredFacts(facts: AuditFacts, chains: readonly RestoredChain[]): AuditFacts[] {
  const texts = chains.map(({ writer, seq, hash, through }) => `${writer}:${seq}:${hash}:${through}`);
  const records: AuditFacts[] = [];
  for (let from = 0; from === 0 || from < texts.length; from += CHAINS_LIMIT)
    records.push({ ...facts, chains: texts.slice(from, from + CHAINS_LIMIT) });
  return records;
}

/** What a signed checkpoint says of the other writers. */
export function othersOf(record: AuditRecord): { writer: string; seq: number; hash: string }[] {
  if (!isCheckpoint(record)) return [];
  return listOf(record, 'others').map(([writer = '', seq = '', hash = '']) => ({
    writer,
    seq: Number(seq),
    hash,
  }));
}

/** What a record says of chains that came back. */
export function restoredClaims(record: AuditRecord): RestoredClaim[] {
  if (record.event !== RESTORED_EVENT) return [];
  const { archive = '' } = record.facts;
  return listOf(record, 'chains').map(([writer = '', seq = '', hash = '', through = '']) => ({
    writer,
    seq: Number(seq),
    hash,
    through: Number(through),
    archive: String(archive),
    time: record.time,
    by: `the record ${record.seq} of ${record.writer}`,
  }));
}

/** Whether the signature of a checkpoint, which stands in its facts, is right. */
export function isVouchedFor(record: AuditRecord, keys: Pick<TrailVerifier, 'checkSignature'>): boolean {
  const { key = '', signature = '' } = record.facts;
  return keys.checkSignature(String(key), signedText(record), String(signature)) === 'good';
}

function listOf({ facts }: AuditRecord, name: string): string[][] {
  const items = facts[name];
  const parts = (Array.isArray(items) ? items : []).map((item) => String(item).split(':'));
  return parts.filter(([, seq]) => Number.isSafeInteger(Number(seq)));
}
