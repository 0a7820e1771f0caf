/** One metric family as numbers, so that those of several processes can be put together. */
export interface MetricFacts {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Value by series: the name with its labels as it stands in the text exposition format. */
  readonly series: Readonly<Record<string, number>>;
}

/** How a gauge of several processes becomes one: most are amounts, and amounts add up. */
const BY_MAXIMUM =
  /^(?:zasov_sessions_active|zasov_overload_level|nodejs_eventloop_.*|nodejs_version_info|zasov_backup_.*|zasov_api_keys|zasov_node_role|zasov_primary_.*|zasov_replication_lag_seconds|zasov_approvals_pending|zasov_admins.*|zasov_policy_held)$/;
/** Where processes differ, the worst is what an operator must see. */
const BY_MINIMUM =
  /^(?:zasov_(?:region|node)_healthy|zasov_certificate_expiry_.*|process_start_time_seconds|process_max_fds)$/;

/**
 * Puts the metrics of several processes together. Counters and histograms add up; gauges add up too, unless all
 * processes measure the same thing: then the worst counts.
 */
export function mergeMetrics(processes: Iterable<readonly MetricFacts[]>): MetricFacts[] {
  const merged = new Map<string, { facts: MetricFacts; series: Map<string, number> }>();
  for (const families of processes) {
    for (const facts of families) {
      let into = merged.get(facts.name);
      if (into === undefined) merged.set(facts.name, (into = { facts, series: new Map() }));
      const join = joinerOf(facts);
      for (const [key, value] of Object.entries(facts.series)) {
        const known = into.series.get(key);
        into.series.set(key, known === undefined ? value : join(known, value));
      }
    }
  }
  return [...merged.values()].map(({ facts, series }) => ({ ...facts, series: Object.fromEntries(series) }));
}

/** What goes on counting after its process is gone. */
export function lastingMetrics(families: readonly MetricFacts[]): MetricFacts[] {
  return families.filter(({ type }) => type !== 'gauge');
}

/** The text exposition format 0.0.4. */
export function renderMetrics(families: readonly MetricFacts[]): string {
  const lines: string[] = [];
  for (const { name, help, type, series } of families) {
    lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`);
    lines.push(`# TYPE ${name} ${type}`);
    for (const [key, value] of Object.entries(series)) lines.push(`${key} ${numberText(value)}`);
  }
  return `${lines.join('\n')}\n`;
}

function joinerOf({ name, type }: MetricFacts): (one: number, other: number) => number {
  if (type !== 'gauge') return add;
  if (BY_MAXIMUM.test(name)) return Math.max;
  return BY_MINIMUM.test(name) ? Math.min : add;
}

function add(one: number, other: number): number {
  return one + other;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
