/**
 * What a backup costs, by how much there is: an archive is made by the gateway's own processes and read back whole.
 * See `usage`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { generateX25519Identity, identityToRecipient } from 'age-encryption';

import type { FinishedBackup } from '../../gateway/backup/backup-lease.ts';
import type { BackupSource } from '../../gateway/policy/compile-backup.ts';
import { launchBackupWorker, runBackupJob } from '../../gateway/server/backup-child.ts';
import type { ReadOrder, ReadReport } from './backup-reader.ts';
import { type BackupSize, seedData } from './backup-seed.ts';
import { scratch } from './children.ts';
import { canMeter, peakBytes, processTree } from './process-meter.ts';
import { table } from './table.ts';

const usage = `npm run bench:backup [-- [options] KEYS RECORDS [KEYS RECORDS ...]]

  KEYS           API keys in an embedded store
  RECORDS        records of the audit trail
  --source-gb N  a source beside them that writes N GB (10^9 bytes) which do not compress

Without sizes: 10000 100000, 100000 1000000, 1000000 10000000. The largest takes some 10 GB of the temporary
directory. Ends with 1 when a record takes more than 1.5 times as long as at the size before.
`;

const SIZES: readonly BackupSize[] = [
  { keys: 10_000, records: 100_000 },
  { keys: 100_000, records: 1_000_000 },
  { keys: 1_000_000, records: 10_000_000 },
];
/** So much longer a record may take than at the size before. */
const FACTOR = 1.5;
const SAMPLE_MS = 50;

interface Result extends BackupSize {
  readonly seedSeconds: number;
  readonly writeSeconds: number;
  readonly archiveBytes: number;
  readonly read: ReadReport;
  readonly peaks: Peaks;
}

/** The most memory that the two processes of a backup ever had. */
interface Peaks {
  readonly worker: number;
  readonly checker: number;
}

interface Place {
  readonly data: string;
  readonly policies: string;
  readonly target: string;
}

const program = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Asks again and again, because a process that has ended can no longer be asked. */
class PeakWatch {
  readonly #child: ChildProcess;
  readonly #timer: NodeJS.Timeout;
  #checker: number | undefined;
  #peaks: Peaks = { worker: 0, checker: 0 };

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#timer = setInterval(() => this.look(), SAMPLE_MS);
    child.once('exit', () => clearInterval(this.#timer));
    // Before the directory is removed at exit: who still writes there would make it anew.
    process.prependListener('exit', () => this.#kill());
  }

  get peaks(): Peaks {
    return this.#peaks;
  }

  #kill(): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    for (const each of processTree(pid)) process.kill(each, 'SIGKILL');
  }

  look(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    this.#checker ??= processTree(pid)[1];
    this.#peaks = {
      worker: Math.max(this.#peaks.worker, peakBytes(pid)),
      checker: Math.max(this.#peaks.checker, this.#checker === undefined ? 0 : peakBytes(this.#checker)),
    };
  }
}

/** Has an archive made as the gateway does, with the process that restores it for a test beside it. */
async function write(
  { data, policies, target }: Place,
  recipient: string,
  sourceGb: number,
): Promise<{ backup: FinishedBackup; peaks: Peaks }> {
  let watch: PeakWatch | undefined;
  const launch = (): ChildProcess => {
    const child = launchBackupWorker(program('../../gateway/zasov.mjs'));
    watch = new PeakWatch(child);
    return child;
  };
  const answer = await runBackupJob(
    launch,
    {
      job: 'archive',
      kind: 'fleet',
      data,
      auditDirectory: join(data, 'audit'),
      policies,
      masterKey: undefined,
      store: { kind: 'embedded' },
      backup: {
        everyMs: 86_400_000,
        atMs: undefined,
        recipients: [recipient],
        to: { kind: 'dir', dir: target },
        keep: 1,
        keepForMs: undefined,
        drillEveryMs: 86_400_000,
        include: sourceGb === 0 ? [] : [noise(sourceGb)],
      },
      version: 'bench',
      node: '0a1b2c3d',
      journal: { seq: 0, hash: '' },
    },
    {
      signal: new AbortController().signal,
      confirm: async () => {
        watch?.look();
        return true;
      },
      onProgress: () => undefined,
    },
  );
  if (answer.job !== 'archive' || watch === undefined) throw new Error('no archive was made');
  return { backup: answer.backup, peaks: watch.peaks };
}

/** What an operator's dump is to a backup, at its worst. */
function noise(gigabytes: number): BackupSource {
  const command = ['head', '-c', String(gigabytes * 1e9), '/dev/urandom'];
  return { name: 'noise', from: { command }, restore: [], timeoutMs: 86_400_000, idleMs: 60_000 };
}

async function read(order: ReadOrder): Promise<ReadReport> {
  const child = fork(program('backup-reader.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  child.send(order);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the reader ended with ${String(code)}`);
  });
  const [report] = await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => undefined);
  return report as ReadReport;
}

async function measure(size: BackupSize, sourceGb: number): Promise<Result> {
  const root = join(scratch, `backup-${size.keys}-${size.records}`);
  const place = { data: join(root, 'data'), policies: join(root, 'policies'), target: join(root, 'target') };
  mkdirSync(place.target, { recursive: true });
  try {
    const identity = await generateX25519Identity();
    const recipient = await identityToRecipient(identity);
    const [seedSeconds] = await timed(() => seedData(place.data, place.policies, size));
    process.stderr.write(`${sizeText(size)} are there\n`);
    const [writeSeconds, { backup, peaks }] = await timed(() => write(place, recipient, sourceGb));
    process.stderr.write('the archive is written\n');
    const report = await read({ archive: join(place.target, backup.archive), identity });
    if (report.keys !== size.keys || report.records !== size.records)
      throw new Error(`${sizeText(report)} came back of ${sizeText(size)}`);
    return { ...size, seedSeconds, writeSeconds, archiveBytes: backup.bytes, read: report, peaks };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const began = performance.now();
  const result = await work();
  return [(performance.now() - began) / 1000, result];
}

function sizeText({ keys, records }: BackupSize): string {
  return `${keys} keys and ${records} records`;
}

function reportTable(results: readonly Result[]): string {
  const times = ['seeded in s', 'written in s', 'read in s', 'µs a record'];
  const rows = [['keys', 'records', ...times, 'archive bytes', 'worker MiB', 'checker MiB', 'reader MiB']];
  for (const result of results) {
    const seconds = [result.seedSeconds, result.writeSeconds, result.read.seconds, perRecord(result) * 1e6];
    const peaks = [result.peaks.worker, result.peaks.checker, result.read.peakBytes];
    rows.push([
      ...[result.keys, result.records].map(String),
      ...seconds.map((value) => value.toFixed(1)),
      String(result.archiveBytes),
      ...peaks.map((bytes) => (bytes / 1024 / 1024).toFixed(0)),
    ]);
  }
  return table(rows);
}

/** Seconds to write and to read, for each key and record. */
function perRecord({ keys, records, writeSeconds, read: { seconds } }: Result): number {
  return (writeSeconds + seconds) / (keys + records);
}

/** What a record takes against the size before it, from size to size. */
function growths(results: readonly Result[]): number[] {
  return results.slice(1).map((result, at) => perRecord(result) / perRecord(results[at] ?? result));
}

function parse(): { help: boolean; sizes: readonly BackupSize[]; sourceGb: number } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', default: false }, 'source-gb': { type: 'string', default: '0' } },
  });
  const numbers = positionals.map(Number);
  const isGood =
    numbers.length % 2 === 0 && numbers.every((number) => Number.isInteger(number) && number > 0);
  const sourceGb = Number(values['source-gb']);
  if (!isGood || !(sourceGb >= 0)) return { help: true, sizes: [], sourceGb: 0 };
  const sizes = numbers.flatMap((keys, at) =>
    at % 2 === 0 ? [{ keys, records: numbers[at + 1] ?? 0 }] : [],
  );
  return { help: values.help, sizes: sizes.length === 0 ? SIZES : sizes, sourceGb };
}

async function main(sizes: readonly BackupSize[], sourceGb: number): Promise<number> {
  const results: Result[] = [];
  for (const size of sizes) results.push(await measure(size, sourceGb));
  process.stdout.write(`${reportTable(results)}\n`);
  const grown = growths(results);
  if (grown.length === 0) return 0;
  const isFlat = grown.every((growth) => growth <= FACTOR);
  process.stdout.write(
    `\nTime per record against the size before: ${grown.map((growth) => growth.toFixed(2)).join(', ')}; ${isFlat ? '' : 'not '}within ${FACTOR}\n`,
  );
  return isFlat ? 0 : 1;
}

const options = parse();
if (options.help) process.stdout.write(usage);
else if (canMeter()) process.exit(await main(options.sizes, options.sourceGb));
else process.stderr.write('only Linux says what a process used\n');
