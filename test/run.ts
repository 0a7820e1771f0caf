/**
 * The test runner behind `npm test`: every file in a process of its own, speaking TAP (tap 21).
 *
 *     npm test                       all of it; first sees to the Debian packages that the real applications need
 *     npm test -- unit               everything but end-to-end, browser and application (seconds)
 *     npm test -- test/session       a folder, a file or a quoted glob
 *
 * A file that starts real programs and fails is run once more at the end, by itself, because it also judges times on
 * a machine that others share; what failed the first time is printed either way.
 *
 * The last line is `N passed, N failed`, counted in assertions, with `, N skipped` only when some were. The exit
 * code is 1 when something failed and when nothing ran.
 */
import { spawn, spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { matchesGlob } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTap, type TapReport } from './support/tap-report.ts';

/** They start real programs. */
const HEAVY = 'test/{end-to-end,browser,application,faults}/**';
/** They measure time and memory, or fill the machine: they run one after another and last. */
const ALONE = [
  'test/end-to-end/{big-body,http2-floods,overload,sign-in-protection,slow-and-many,theft}.test.ts',
];
/** They judge times too, but mostly wait for stores and nodes to follow one another: two at once, before those. */
const PAIRED = ['test/faults/{*failover,primary-moves,redis-faults}.test.ts'];
/** They take a minute of one processor: begun first, so that nobody waits for them at the end. */
const FIRST = ['test/{store/family-script,end-to-end/tls-scan}.test.ts'];
/** One more than the cores of continuous integration: most files wait for the programs that they start. */
const JOBS = 3;
const COMPILED = fileURLToPath(new URL('../node_modules/.cache/zasov', import.meta.url));
const UNIT_TIMEOUT_MS = 120_000;
const HEAVY_TIMEOUT_MS = 360_000;
/** How long a test file may tidy up after SIGTERM. */
const TERM_MS = 8000;

const selection = process.argv[2] ?? 'all';
const files = select(selection);
if (files.some(isHeavy)) installPackages();
const startedMs = Date.now();
const reports: TapReport[] = [];
const again: string[] = [];
const tried = new Set<string>();
const together = files.filter((file) => !isAmong(file, [...ALONE, ...PAIRED]));
await runAll(
  together.toSorted((one, other) => Number(isAmong(other, FIRST)) - Number(isAmong(one, FIRST))),
  JOBS,
);
await runAll(
  files.filter((file) => isAmong(file, PAIRED)),
  2,
);
await runAll(
  files.filter((file) => isAmong(file, ALONE)),
  1,
);
await runAll(again.splice(0), 1);
finish();

function isHeavy(file: string): boolean {
  return matchesGlob(file, HEAVY);
}

function isAmong(file: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matchesGlob(file, pattern));
}

function select(wanted: string): string[] {
  const all = globSync('test/**/*.test.ts').toSorted();
  if (wanted === 'all') return all;
  if (wanted === 'unit') return all.filter((file) => !isHeavy(file));
  const isFolder = statSync(wanted, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const pattern = isFolder ? `${wanted.replace(/\/$/, '')}/**/*.test.ts` : wanted;
  return globSync(pattern).toSorted();
}

/** Installs what is missing when we may; real applications are part of the promise, so nothing is skipped. */
function installPackages(): void {
  const { status } = spawnSync('bash', ['test/install-packages.sh'], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}

/** Runs files side by side; what may be run once more and failed goes to {@link again} and not into the sum. */
async function runAll(queue: string[], jobs: number): Promise<void> {
  const rest = [...queue];
  const worker = async (): Promise<void> => {
    for (let file = rest.shift(); file !== undefined; file = rest.shift()) {
      const report = await runFile(file);
      if (report.failed > 0 && mayRunAgain(file)) again.push(file);
      else reports.push(report);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

function mayRunAgain(file: string): boolean {
  if (!isHeavy(file) || tried.has(file)) return false;
  tried.add(file);
  process.stdout.write(`again   ${file}  (at the end)\n`);
  return true;
}

/** Runs one file in its own process group, so that whatever it started can be ended with it. */
async function runFile(file: string): Promise<TapReport> {
  const beganMs = Date.now();
  const limitMs = isHeavy(file) ? HEAVY_TIMEOUT_MS : UNIT_TIMEOUT_MS;
  const child = spawn(process.execPath, [file], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Tap's own limit of 30 s gives way to the one above.
    // What Node makes of the sources is kept, as the program itself keeps it.
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED, TAP_TIMEOUT: String((2 * limitMs) / 1000) },
  });
  let tap = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (tap += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const group = child.pid ?? 0;
  let isLate = false;
  let kill: NodeJS.Timeout | undefined;
  const late = setTimeout(() => {
    isLate = true;
    child.kill('SIGTERM');
    kill = setTimeout(() => endGroup(group), TERM_MS);
  }, limitMs);
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
    child.once('error', () => resolve(null));
    child.once('exit', () => endGroup(group));
  });
  clearTimeout(late);
  clearTimeout(kill);
  const report = readTap(tap, code);
  if (isLate) report.failures.push(`stopped after ${limitMs / 1000} s`);
  print(file, report, errors, Date.now() - beganMs);
  return report;
}

/** Ends what a test file left behind in its group; a group that is already gone is what we want. */
function endGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // Nothing is left of the group.
  }
}

function print(file: string, report: TapReport, errors: string, tookMs: number): void {
  const seconds = `${(tookMs / 1000).toFixed(1)} s`;
  if (report.failed === 0) {
    process.stdout.write(`ok      ${file}  (${report.passed}, ${seconds})\n`);
    return;
  }
  process.stdout.write(
    `FAILED  ${file}  (${report.failed} of ${report.passed + report.failed}, ${seconds})\n`,
  );
  for (const failure of report.failures) process.stdout.write(`${failure.replaceAll(/^/gm, '    ')}\n`);
  const tail = errors.trim().split('\n').slice(-40).join('\n');
  if (tail !== '')
    process.stdout.write(`    standard error ends with:\n${tail.replaceAll(/^/gm, '      ')}\n`);
}

function finish(): void {
  const sum = (pick: (report: TapReport) => number): number =>
    reports.reduce((total, report) => total + pick(report), 0);
  const passed = sum((report) => report.passed);
  const failed = sum((report) => report.failed);
  const skipped = sum((report) => report.skipped);
  if (reports.length === 0) process.stdout.write(`no test file matches "${selection}"\n`);
  else process.stdout.write(`\n${reports.length} files, ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`);
  process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
