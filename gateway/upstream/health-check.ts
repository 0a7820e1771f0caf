import type { Fleet, TroubleKind } from './fleet.ts';
import { type HealthReport, type NodeStatement, readHealthDocument } from './health-document.ts';
import { measureDistance } from './nearness.ts';
import type { UpstreamNode } from './upstream-node.ts';

/** How a node's health is asked for; the policy's `health` section fits. */
export interface HealthSettings {
  readonly path: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
}

/** What came of one check. */
export type CheckResult = HealthReport | { readonly trouble: TroubleKind };

/** A longer answer is a page and no document. */
const DOCUMENT_BYTES = 16 * 1024;
/** How soon a node that failed a request is asked again: after a quarter of the interval, within these bounds. */
const SOONEST_RECHECK_MS = 100;
const LATEST_RECHECK_MS = 1000;

/**
 * Asks a node for its health, from the start and then at intervals, until stopped; at once when a request failed at
 * it. A node turns only after the number of equal results in a row that the settings name; what it says of its role
 * counts at once.
 *
 * @returns a function that stops the checks, the one under way too.
 */
export function watchHealth(node: UpstreamNode, settings: HealthSettings, fleet: Fleet): () => void {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let askedMs = 0;
  let isAsking = false;
  const again = async () => {
    isAsking = true;
    askedMs = performance.now();
    const result = await check(node, settings, stop.signal);
    isAsking = false;
    if (stop.signal.aborted) return;
    const isMoved = 'trouble' in result ? false : measureDistance(node, performance.now() - askedMs);
    takeResult(node, result, settings, fleet);
    if (isMoved) fleet.changed();
    timer = setTimeout(() => void again(), settings.everyMs).unref();
  };
  node.recheck = () => {
    if (isAsking) return;
    clearTimeout(timer);
    const soonest = askedMs + Math.min(LATEST_RECHECK_MS, Math.max(SOONEST_RECHECK_MS, settings.everyMs / 4));
    timer = setTimeout(() => void again(), Math.max(0, soonest - performance.now())).unref();
  };
  void again();
  return () => {
    node.recheck = undefined;
    stop.abort();
    clearTimeout(timer);
  };
}

/** Takes one result: counts it, turns the node when enough of a kind came in a row, and hears what it says. */
export function takeResult(
  node: UpstreamNode,
  result: CheckResult,
  settings: Pick<HealthSettings, 'unhealthyAfter' | 'healthyAfter'>,
  fleet: Fleet,
): void {
  const isWell = !('trouble' in result);
  if (!isWell) fleet.observer.checkFailed(node, result.trouble);
  const isFirst = !node.checked;
  node.checked = true;
  const isHeard = isWell && hear(node, result, fleet);
  if (turn(node, isWell, settings)) {
    fleet.observer.turned(node);
    fleet.changed();
    if (!node.healthy) node.lose('unhealthy');
  } else if (isFirst || isHeard) fleet.changed();
}

/** @returns whether the node turned. */
function turn(
  node: UpstreamNode,
  isWell: boolean,
  settings: Pick<HealthSettings, 'unhealthyAfter' | 'healthyAfter'>,
): boolean {
  node.successes = isWell ? node.successes + 1 : 0;
  node.failures = isWell ? 0 : node.failures + 1;
  const turnsDown = node.healthy && node.failures >= settings.unhealthyAfter;
  const turnsUp = !node.healthy && node.successes >= settings.healthyAfter;
  if (turnsDown || turnsUp) node.healthy = turnsUp;
  return turnsDown || turnsUp;
}

/** @returns whether it said something that can change a decision. */
function hear(node: UpstreamNode, { statement, draining }: HealthReport, fleet: Fleet): boolean {
  const before = node.statement;
  const isNews = node.draining !== draining || isOther(before, statement);
  node.statement = statement;
  node.draining = draining;
  if (statement?.epoch !== undefined) fleet.sawEpoch(statement.epoch);
  if (isNews) fleet.observer.stated(node);
  return isNews || before?.lagMs !== statement?.lagMs;
}

function isOther(before: NodeStatement | undefined, now: NodeStatement | undefined): boolean {
  return before?.role !== now?.role || before?.epoch !== now?.epoch;
}

async function check(
  node: UpstreamNode,
  { path, timeoutMs }: HealthSettings,
  stop: AbortSignal,
): Promise<CheckResult> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const { statusCode, headers, body } = await node.probe.request({
      path,
      method: 'GET',
      headers: { host: node.host, 'user-agent': 'zasov-health' },
      signal: AbortSignal.any([stop, timeout]),
    });
    const text = await readStart(body);
    if (statusCode < 200 || statusCode > 299) return { trouble: 'status' };
    const report = readHealthDocument(text);
    if (report === undefined) return { trouble: 'status' };
    return saysDraining(headers) ? { ...report, draining: true } : report;
  } catch (error) {
    return { trouble: timeout.aborted ? 'timeout' : troubleOf(error) };
  }
}

/** Reads a short body whole; of a long one nothing is kept. */
async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes <= DOCUMENT_BYTES) chunks.push(chunk);
  }
  return bytes <= DOCUMENT_BYTES ? Buffer.concat(chunks).toString() : '';
}

/** A node may ask for no new requests with any answer: `Zasov-Drain: true`. */
export function saysDraining(headers: Readonly<Record<string, string | string[] | undefined>>): boolean {
  const value = headers['zasov-drain'];
  return value === 'true' || value === '?1' || value === '1';
}

/** What kind of failure an error of the HTTP client is. */
export function troubleOf(error: unknown): TroubleKind {
  const code = codeOf(error);
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT' || code === 'ETIMEDOUT')
    return 'timeout';
  // llhttp names what it did not like in an answer HPE_…
  if (
    code.startsWith('HPE_') ||
    code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' ||
    code === 'UND_ERR_HEADERS_OVERFLOW'
  )
    return 'protocol';
  return 'connection';
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error instanceof AggregateError ? codeOf(error.errors[0]) : '';
}
