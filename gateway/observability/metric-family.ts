import type { MetricFacts } from './metric-facts.ts';

/** Label values by name. */
export type Labels<Name extends string> = Readonly<Record<Name, string>>;

/** One time series, or one set of them, of a family. */
export interface MetricChild {
  /** Adds its lines in the text exposition format. */
  write(lines: string[], name: string, labelText: string): void;
}

/** What a family is made of. */
interface FamilyDescription<Name extends string, Child extends MetricChild> {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labelNames: readonly Name[];
  /** Children beyond this many are counted together under the label value `other`. */
  readonly childLimit: number;
  readonly create: () => Child;
}

const LABEL_VALUE_LIMIT = 200;

/**
 * All series of one metric. Look a child up once and keep it where the path is hot; the number of children is bounded,
 * so that a label fed from the network cannot fill the memory.
 */
export class MetricFamily<Name extends string, Child extends MetricChild> {
  readonly #description: FamilyDescription<Name, Child>;
  readonly #children = new Map<string, { readonly child: Child; readonly labelText: string }>();
  #overflow: Child | undefined;

  constructor(description: FamilyDescription<Name, Child>) {
    this.#description = description;
    this.reset();
  }

  get name(): string {
    return this.#description.name;
  }

  /** The child for these label values, made on first use. Concurrent callers share it. */
  child(labels: Labels<Name>): Child {
    const { labelNames, childLimit, create } = this.#description;
    let key = '';
    for (const label of labelNames) key += `${labels[label]}\0`;
    const known = this.#children.get(key);
    if (known) return known.child;
    if (this.#children.size >= childLimit) return (this.#overflow ??= create());
    const child = create();
    this.#children.set(key, { child, labelText: labelText(labelNames, (label) => labels[label]) });
    return child;
  }

  /** Forgets all children, for gauges whose subjects come and go. Children that somebody kept are no longer shown. */
  reset(): void {
    this.#children.clear();
    this.#overflow = undefined;
    // A metric without labels is there from the start, so that a rule on it does not meet "no data".
    if (this.#description.labelNames.length === 0) this.child({} as Labels<Name>);
  }

  /** The family as numbers. Series without a number, such as a limit that the system does not tell, are left out. */
  facts(): MetricFacts {
    const { name, help, type } = this.#description;
    const lines: string[] = [];
    this.#writeSeries(lines);
    const series: Record<string, number> = {};
    for (const line of lines) {
      const gap = line.lastIndexOf(' ');
      const value = Number(line.slice(gap + 1));
      if (Number.isFinite(value)) series[line.slice(0, gap)] = value;
    }
    return { name, help, type, series };
  }

  /** Adds the family in the text exposition format 0.0.4. */
  write(lines: string[]): void {
    const { name, help, type } = this.#description;
    lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`);
    lines.push(`# TYPE ${name} ${type}`);
    this.#writeSeries(lines);
  }

  #writeSeries(lines: string[]): void {
    const { name, labelNames } = this.#description;
    for (const entry of this.#children.values()) entry.child.write(lines, name, entry.labelText);
    this.#overflow?.write(
      lines,
      name,
      labelText(labelNames, () => 'other'),
    );
  }
}

function labelText<Name extends string>(names: readonly Name[], valueOf: (name: Name) => string): string {
  return names.map((name) => `${name}="${escapeLabel(valueOf(name))}"`).join(',');
}

function escapeLabel(value: string): string {
  const bounded = value.slice(0, LABEL_VALUE_LIMIT).toWellFormed();
  return bounded.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
