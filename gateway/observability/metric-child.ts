import type { MetricChild } from './metric-family.ts';

/** A number that only grows. */
export class Counter implements MetricChild {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  /** Adds; a negative or unreal amount is passed over, because counting must never break a request. */
  inc(amount = 1): void {
    if (amount > 0) this.#value += amount;
  }

  /** For a total that is kept elsewhere, such as the operating system's. */
  setTotal(total: number): void {
    this.#value = total;
  }

  write(lines: string[], name: string, labelText: string): void {
    lines.push(sample(name, labelText, this.#value));
  }
}

/** A number that goes up and down. */
export class Gauge implements MetricChild {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  set(value: number): void {
    this.#value = value;
  }

  /** Adds, or takes away when negative. */
  inc(change = 1): void {
    this.#value += change;
  }

  write(lines: string[], name: string, labelText: string): void {
    lines.push(sample(name, labelText, this.#value));
  }
}

/** How a quantity is distributed, usually seconds. */
export class Histogram implements MetricChild {
  readonly #bounds: readonly number[];
  /** Not yet cumulative, with one more place at the end for what is above all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds upper bounds, ascending, without infinity. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** Counts one value; values that are no number are passed over. */
  observe(value: number): void {
    if (Number.isNaN(value)) return;
    const bounds = this.#bounds;
    let place = 0;
    while (place < bounds.length && value > (bounds[place] ?? 0)) place += 1;
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    this.#sum += value;
  }

  write(lines: string[], name: string, labelText: string): void {
    const before = labelText === '' ? '' : `${labelText},`;
    let count = 0;
    for (const [place, inBucket] of this.#counts.entries()) {
      count += inBucket;
      const bound = this.#bounds[place];
      const limit = bound === undefined ? '+Inf' : numberText(bound);
      lines.push(sample(`${name}_bucket`, `${before}le="${limit}"`, count));
    }
    lines.push(sample(`${name}_sum`, labelText, this.#sum), sample(`${name}_count`, labelText, count));
  }
}

function sample(name: string, labelText: string, value: number): string {
  return labelText === '' ? `${name} ${numberText(value)}` : `${name}{${labelText}} ${numberText(value)}`;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
