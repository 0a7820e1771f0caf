/** What one test file said, in assertions: a subtest is not counted beside the assertions inside it. */
export interface TapReport {
  passed: number;
  failed: number;
  skipped: number;
  /** One readable block per failed assertion: the path of titles, then tap's own diagnosis. */
  readonly failures: string[];
}

const POINT = /^( *)(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO)\b.*)?(?: # time=[\d.]+ms)?(?: \{)?$/i;

/**
 * Reads the TAP output of one test file and counts its leaf assertions.
 *
 * A file that says nothing, plans nothing or ends with a bad exit code although no assertion failed (a crash, a
 * time-out, an unhandled rejection after the last test) counts as one failure: silence is never a pass.
 *
 * @param tap everything the file wrote to standard output.
 * @param exitCode its exit code; `null` when a signal ended it.
 */
export function readTap(tap: string, exitCode: number | null): TapReport {
  const report: TapReport = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const lines = tap.split('\n');
  const titles: string[] = [];
  for (const [index, line] of lines.entries()) {
    const subtest = /^( *)# Subtest(?:: (.*))?$/.exec(line);
    if (subtest) {
      titles.length = depth(subtest[1]);
      titles.push(subtest[2] ?? '');
      continue;
    }
    const point = POINT.exec(line);
    if (!point) continue;
    const level = depth(point[1]);
    const isSummary = titles.length > level;
    titles.length = Math.min(titles.length, level);
    if (!isSummary) countPoint(report, point, [...titles, point[3] ?? 'unnamed'], diagnosis(lines, index));
  }
  addSilentFailure(report, exitCode);
  return report;
}

function depth(indent: string | undefined): number {
  return (indent ?? '').length / 4;
}

function countPoint(report: TapReport, point: RegExpExecArray, path: string[], details: string[]): void {
  if (point[4] !== undefined) report.skipped += 1;
  else if (point[2] === undefined) report.passed += 1;
  else {
    report.failed += 1;
    report.failures.push([`not ok: ${path.join(' > ')}`, ...details].join('\n'));
  }
}

function addSilentFailure(report: TapReport, exitCode: number | null): void {
  const isSilent = report.passed + report.failed + report.skipped === 0;
  if (report.failed > 0 || (exitCode === 0 && !isSilent)) return;
  report.failed += 1;
  const what = exitCode === null ? 'ended by a signal' : `exit code ${exitCode}`;
  report.failures.push(
    isSilent ? `not ok: no test ran (${what})` : `not ok: no assertion failed, but ${what}`,
  );
}

/** The YAML block under a test point, without its fences. */
function diagnosis(lines: readonly string[], index: number): string[] {
  const open = lines[index + 1] ?? '';
  if (open.trim() !== '---') return [];
  const indent = open.length - 3;
  const end = lines.findIndex((line, at) => at > index && line === `${' '.repeat(indent)}...`);
  return lines.slice(index + 2, end === -1 ? undefined : end).map((line) => `  ${line.slice(indent)}`);
}
