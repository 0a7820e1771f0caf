import type { ArchiveHead, JournalPosition } from '../backup/archive-format.ts';
import { type JournalSegment, type JournalVerdict, readJournal } from '../backup/journal-reader.ts';
import { describeOverwritten } from '../backup/overwritten.ts';
import type { JournalDigest } from '../backup/restore-load.ts';
import { signerFingerprint } from '../crypto/signing-key.ts';
import type { RestoreRequest } from './restore-request.ts';

/** What the journal that goes with an archive is worth. */
export interface JournalFindings extends JournalDigest {
  /** Whether everything up to the loss is known: otherwise keys come back on hold. */
  readonly isComplete: boolean;
  /** Up to when changes are known. */
  readonly throughMs: number;
  /** The last segment that belongs to it. */
  readonly end: JournalPosition;
  /** Ends of audit chains that were seen after the archive. */
  readonly heads: readonly { readonly writer: string; readonly seq: number; readonly hash: string }[];
  readonly problems: readonly string[];
  /** What takes nothing from the journal, and somebody should look at. */
  readonly warnings: readonly string[];
  /** A sentence for the operator. */
  readonly says: string;
}

/** The archive of one node needs no journal: what that is about is in the store that all nodes share. */
export const NO_JOURNAL: JournalFindings = {
  keys: new Map(),
  isComplete: true,
  throughMs: 0,
  end: { seq: 0, hash: '' },
  heads: [],
  problems: [],
  warnings: [],
  says: 'an archive of one node: keys and administrators are in the store that all nodes share, and stay as they are',
};

/** The gateway writes a segment at least once a minute. */
const SILENT_MS = 120_000;
/** So many warnings of one kind are told one by one. */
const TOLD = 5;

/** Reads all of the journal behind an archive: every segment, its signature and its place. Writes nothing. */
export async function inspectJournal(
  request: Pick<RestoreRequest, 'journal' | 'keys' | 'signal' | 'lostAtMs' | 'agree' | 'clock'>,
  { journal: from, signer }: Pick<ArchiveHead, 'journal' | 'signer'>,
): Promise<JournalFindings> {
  const keys = new Map<string, number>();
  const heads = new Map<string, { writer: string; seq: number; hash: string }>();
  const verdict = await eachSegment(request, { journal: from, signer }, (segment) => {
    for (const { lineage, version } of segment.keys)
      keys.set(lineage, Math.max(version, keys.get(lineage) ?? 0));
    for (const head of segment.audit.flatMap(({ text }) => headsOf(text)))
      if (head.seq >= (heads.get(head.writer)?.seq ?? 0)) heads.set(head.writer, head);
  });
  const problems = [...verdict.problems];
  const isSilent = verdict.intact && !(await reachesLoss(request, verdict.through_ms));
  if (isSilent)
    problems.push(
      `the journal ends at ${timeOf(verdict.through_ms)}, and the gateway may have run on after it: what was revoked then is not known. If it was lost at that time, say so with --lost-at ${timeOf(verdict.through_ms)}`,
    );
  const isComplete = verdict.intact && !isSilent;
  const says = isComplete
    ? `the journal is whole up to ${timeOf(verdict.through_ms)}: ${keys.size} keys changed after the archive`
    : 'THE JOURNAL IS NOT WHOLE: API keys come back on hold; look at who holds them, then zasov keys release';
  const warnings = warningsOf(verdict.overwritten);
  return {
    keys,
    isComplete,
    throughMs: verdict.through_ms,
    end: { seq: verdict.last_seq, hash: verdict.last_hash },
    heads: [...heads.values()],
    problems,
    warnings,
    says,
  };
}

function warningsOf(overwritten: JournalVerdict['overwritten']): string[] {
  const told = overwritten.slice(0, TOLD).map((each) => describeOverwritten(each));
  return overwritten.length > TOLD ? [...told, `and ${overwritten.length - TOLD} segments more`] : told;
}

/** Whether the journal reaches to the loss: by what was said, or by what whoever sits there says. */
async function reachesLoss(
  { lostAtMs, agree, clock }: Pick<RestoreRequest, 'lostAtMs' | 'agree' | 'clock'>,
  throughMs: number,
): Promise<boolean> {
  if ((lostAtMs ?? clock.now()) - throughMs <= SILENT_MS) return true;
  if (lostAtMs !== undefined) return false;
  const until = timeOf(throughMs + SILENT_MS);
  const question = `The journal ends at ${timeOf(throughMs)}. Are you sure that the gateway was lost before ${until}? (Otherwise API keys come back on hold.)`;
  return (await agree('loss', question)) === true;
}

/** Goes through the segments of the journal behind an archive. */
export async function eachSegment(
  { journal, keys, signal }: Pick<RestoreRequest, 'journal' | 'keys' | 'signal'>,
  { journal: from, signer }: Pick<ArchiveHead, 'journal' | 'signer'>,
  take: (segment: JournalSegment) => Promise<void> | void,
): Promise<JournalVerdict> {
  if (journal === undefined)
    return {
      intact: false,
      through_ms: 0,
      last_seq: from.seq,
      last_hash: from.hash,
      problems: ['there is no journal: --journal names its directory'],
      overwritten: [],
    };
  const reading = readJournal({
    target: journal,
    from,
    identities: keys.identities,
    signer: signerFingerprint(signer),
  });
  for await (const segment of reading.segments()) {
    signal?.throwIfAborted();
    await take(segment);
  }
  return reading.verdict();
}

/** The ends of a chain, as its head file tells them in two places; the segment around it is signed. */
function headsOf(text: string): { writer: string; seq: number; hash: string }[] {
  return text.split('\n').flatMap((line) => {
    try {
      const { writer, seq, hash } = JSON.parse(line.trim()) as Record<string, unknown>;
      const isHead = typeof writer === 'string' && typeof hash === 'string' && Number.isSafeInteger(seq);
      return isHead ? [{ writer, seq: Number(seq), hash }] : [];
    } catch {
      return [];
    }
  });
}

function timeOf(ms: number): string {
  return ms === 0 ? 'no time at all' : new Date(ms).toISOString();
}
