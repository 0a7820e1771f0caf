import { cpus, loadavg } from 'node:os';
import type { CpuFigures, CpuOutcome, Failure } from './cpu-rounds.ts';
import type { HandshakeFigures } from './handshake-rounds.ts';
import type { MemoryFigures } from './memory-rounds.ts';
import { table } from './table.ts';
import type { MicroFigures } from './micro-rounds.ts';
import type { Target } from './target.ts';
import { HTTP_PROXY, HTTP_PROXY_KEEP_ALIVE } from './target.ts';

/** The gateway may cost at most this many times the bare forwarder's CPU. */
export const BARE_CEILING = 1.35;
/** The gateway must cost less than this share of `http-proxy`'s CPU. */
export const HTTP_PROXY_CEILING = 0.5;

const [loadAtStart = 0] = loadavg();

/** Middle, lowest and highest of some rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** One row of the CPU table. */
export interface CpuRow {
  readonly name: string;
  readonly microseconds: Spread;
  readonly busy: number;
  readonly toBare: Spread | undefined;
  readonly toHttpProxy: Spread | undefined;
  readonly toHttpProxyKeepAlive: Spread | undefined;
  readonly cipher: string;
  readonly rotations: number;
}

/** A target of the issue and whether it holds. */
export interface Judgement {
  readonly what: string;
  readonly measured: number;
  /** The same from the least disturbed round of each: what other programs do to a machine only ever adds. */
  readonly best: number;
  readonly ceiling: number;
  readonly holds: boolean;
}

/** Everything that a run found; what `--json` writes. */
export interface Report {
  readonly machine: {
    readonly processor: string;
    readonly processors: number;
    readonly node: string;
    readonly load: number;
  };
  readonly cpu: readonly CpuRow[];
  readonly memory: readonly MemoryFigures[];
  readonly micro: readonly MicroFigures[];
  readonly handshakes: readonly HandshakeFigures[];
  readonly judgements: readonly Judgement[];
  readonly failures: readonly Failure[];
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Ratios are taken round by round, because drift of the machine hits neighbours in a round alike. */
function ratio(of: CpuFigures, to: CpuFigures | undefined): Spread | undefined {
  if (to === undefined || to === of) return undefined;
  return spread(of.perRequest.map((value, round) => value / (to.perRequest[round] ?? Number.NaN)));
}

function judge(row: CpuRow, bareUs: number, httpProxyUs: number): Judgement[] {
  const list: Judgement[] = [];
  const { min } = row.microseconds;
  if (row.toBare !== undefined) {
    const measured = row.toBare.median;
    const best = min / bareUs;
    const holds = measured <= BARE_CEILING;
    list.push({ what: `${row.name} to its bare forwarder`, measured, best, ceiling: BARE_CEILING, holds });
  }
  if (row.toHttpProxy !== undefined) {
    const measured = row.toHttpProxy.median;
    const best = min / httpProxyUs;
    const holds = measured < HTTP_PROXY_CEILING;
    list.push({ what: `${row.name} to http-proxy`, measured, best, ceiling: HTTP_PROXY_CEILING, holds });
  }
  return list;
}

/** Compares a target with another of the gateway's own. */
function judgeBeside(of: CpuFigures, to: CpuFigures | undefined, ceiling: number): Judgement[] {
  const beside = ratio(of, to);
  if (to === undefined || beside === undefined) return [];
  const best = Math.min(...of.perRequest) / Math.min(...to.perRequest);
  const holds = beside.median <= ceiling;
  return [{ what: `${of.name} to ${to.name}`, measured: beside.median, best, ceiling, holds }];
}

/** Turns figures into rows and judgements. */
export function makeReport(
  list: readonly Target[],
  { cpu, ...others }: { readonly cpu: CpuOutcome } & Pick<Report, 'memory' | 'micro' | 'handshakes'>,
): Report {
  const byName = new Map(cpu.figures.map((figures) => [figures.name, figures]));
  const bestOf = (name: string): number => Math.min(...(byName.get(name)?.perRequest ?? []));
  const rows: CpuRow[] = [];
  const judgements: Judgement[] = [];
  for (const target of list) {
    const figures = byName.get(target.name);
    if (figures === undefined) continue;
    const row = {
      name: target.name,
      microseconds: spread(figures.perRequest),
      busy: spread(figures.busy).median,
      toBare: ratio(figures, byName.get(target.yardstick)),
      toHttpProxy: ratio(figures, byName.get(HTTP_PROXY)),
      toHttpProxyKeepAlive: ratio(figures, byName.get(HTTP_PROXY_KEEP_ALIVE)),
      cipher: figures.cipher,
      rotations: figures.rotations,
    };
    rows.push(row);
    const { ceiling } = target;
    if (ceiling !== undefined)
      judgements.push(...judgeBeside(figures, byName.get(ceiling.of), ceiling.times));
    if (target.judged) judgements.push(...judge(row, bestOf(target.yardstick), bestOf(HTTP_PROXY)));
  }
  const processors = cpus();
  const load = loadAtStart;
  const processor = processors[0]?.model ?? 'unknown';
  return {
    machine: { processor, processors: processors.length, node: process.version, load },
    cpu: rows,
    ...others,
    judgements,
    failures: cpu.failures,
  };
}

function times(value: Spread | undefined): string {
  return value === undefined ? '-' : `${value.median.toFixed(2)}x`;
}

function kibibytes(bytes: number | undefined): string {
  return bytes === undefined ? '-' : `${(bytes / 1024).toFixed(1)} KiB`;
}

function cpuTable(rows: readonly CpuRow[]): string {
  const head = [
    'target',
    'CPU us/request',
    'min',
    'max',
    'to bare',
    'to http-proxy',
    'to its keep-alive',
    'busy',
    'cipher',
    'rotations',
  ];
  return table([
    head,
    ...rows.map((row) => [
      row.name,
      row.microseconds.median.toFixed(1),
      row.microseconds.min.toFixed(1),
      row.microseconds.max.toFixed(1),
      times(row.toBare),
      times(row.toHttpProxy),
      times(row.toHttpProxyKeepAlive),
      `${Math.round(row.busy * 100)} %`,
      row.cipher.replace(/^TLS_/, ''),
      String(row.rotations),
    ]),
  ]);
}

function memoryTable(rows: readonly MemoryFigures[]): string {
  return table([
    ['target', 'at rest', 'per idle TLS connection', 'per session'],
    ...rows.map((row) => [
      row.name,
      `${(row.restingBytes / 1024 / 1024).toFixed(1)} MiB`,
      kibibytes(row.perConnectionBytes),
      kibibytes(row.perSessionBytes),
    ]),
  ]);
}

function microTable(rows: readonly MicroFigures[]): string {
  return table([
    ['sessions, keys and limits on the embedded store', 'CPU us'],
    ...rows.map(({ name, microseconds }) => [name, microseconds.toFixed(microseconds < 10 ? 2 : 1)]),
  ]);
}

function handshakeTable(rows: readonly HandshakeFigures[]): string {
  return table([
    [
      'TLS handshake and one request',
      'version',
      'full, CPU us',
      'resumed, CPU us',
      'resumed',
      'key exchange',
    ],
    ...rows.map((row) => [
      row.name,
      row.version,
      row.fullMicroseconds.toFixed(0),
      row.resumedMicroseconds.toFixed(0),
      `${Math.round(row.resumedShare * 100)} %`,
      row.group,
    ]),
  ]);
}

/** The report as people read it. */
export function formatReport(report: Report): string {
  const { machine } = report;
  const parts = [`${machine.processor}, ${machine.processors} processors, Node ${machine.node}`];
  if (machine.load > 1) {
    parts.push(
      `Other programs were at work (load ${machine.load.toFixed(1)} at the start): figures are high, ratios uncertain.`,
    );
  }
  if (report.cpu.length > 0) parts.push(cpuTable(report.cpu));
  if (report.memory.length > 0) parts.push(memoryTable(report.memory));
  if (report.handshakes.length > 0) parts.push(handshakeTable(report.handshakes));
  if (report.micro.length > 0) parts.push(microTable(report.micro));
  if (report.judgements.length > 0) {
    parts.push(
      report.judgements
        .map((judgement) => {
          const bound = `${judgement.ceiling === BARE_CEILING ? 'at most' : 'under'} ${judgement.ceiling}x`;
          const verdict = judgement.holds ? 'holds' : 'MISSED';
          const measured = `${judgement.measured.toFixed(2)}x (best rounds ${judgement.best.toFixed(2)}x)`;
          return `${judgement.what}: ${measured}, target ${bound}: ${verdict}`;
        })
        .join('\n'),
    );
  }
  for (const { name, reason } of report.failures) parts.push(`${name} did not run: ${reason.trim()}`);
  return `${parts.join('\n\n')}\n`;
}
