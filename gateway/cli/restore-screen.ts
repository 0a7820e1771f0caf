import type { RestoreEvent } from '../server/restore-request.ts';
import type { RestoreResult } from '../server/restore-state.ts';
import { askTerminal } from './ask-terminal.ts';
import { drawLine, eraseLine } from './drawn-line.ts';

const REDRAW_MS = 100;
const BAR_CELLS = 30;
const MIB = 1024 * 1024;

/** Shows a restore: lines with a bar on a terminal, JSON events otherwise where they are asked for. */
export class RestoreScreen {
  readonly #isJson: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #isTerminal = process.stderr.isTTY;
  #drawnMs = 0;
  #hasBar = false;
  #sentMs = 0;

  /** @param signal ends a question that is asked. */
  constructor(isJson: boolean, signal?: AbortSignal) {
    this.#isJson = isJson;
    this.#signal = signal;
  }

  show(event: RestoreEvent): void {
    if (event.event === 'progress') this.#progress(event);
    else if (this.#isJson) process.stdout.write(`${JSON.stringify(event)}\n`);
    else
      this.#line(
        event.event === 'warning'
          ? `WARNING ${event.step.padEnd(8)} ${event.says}`
          : `${event.step.padEnd(8)} ${event.says}`,
      );
  }

  finish(result: RestoreResult): void {
    if (this.#isJson) {
      const { chains: _chains, tookMs, isComplete, ...rest } = result;
      process.stdout.write(
        `${JSON.stringify({ event: 'restored', ...rest, on_hold: !isComplete, took_ms: tookMs })}\n`,
      );
      return;
    }
    if (result.todo.length === 0) return;
    this.#line('', 'BEFORE YOU START THE GATEWAY:', ...result.todo.map((each) => `  ${each}`));
  }

  /** Shows what a drill left at the target. */
  report(report: { readonly took_ms: number }, where: string): void {
    if (this.#isJson) process.stdout.write(`${JSON.stringify({ event: 'drilled', ...report })}\n`);
    else this.#line(`drill    done in ${(report.took_ms / 1000).toFixed(1)} s; the report is at ${where}`);
  }

  /** Asks a question on a terminal. @returns `undefined` when there is nobody to ask. */
  async agree(question: string, yes: boolean): Promise<boolean | undefined> {
    if (yes) return true;
    if (!process.stdin.isTTY || !this.#isTerminal) return undefined;
    this.close();
    const answer = await askTerminal(`${question} Type yes: `, { signal: this.#signal });
    return answer.trim().toLowerCase() === 'yes';
  }

  /** Leaves the terminal as it was. */
  close(): void {
    if (this.#hasBar) eraseLine();
    this.#hasBar = false;
  }

  #progress(event: RestoreEvent & { event: 'progress' }): void {
    const nowMs = performance.now();
    if (this.#isJson && nowMs - this.#sentMs > 1000) {
      this.#sentMs = nowMs;
      process.stdout.write(`${JSON.stringify(event)}\n`);
    }
    const { bytes, of = 0 } = event;
    if (this.#isJson || !this.#isTerminal) return;
    // The last one is always shown: a bar that stops short of its end looks like one that hangs.
    if (nowMs - this.#drawnMs < REDRAW_MS && bytes !== of) return;
    this.#drawnMs = nowMs;
    this.#hasBar = true;
    const share = of === 0 ? 0 : Math.min(1, bytes / of);
    const cells = Math.round(share * BAR_CELLS);
    const bar =
      of === 0 ? '' : `[${'='.repeat(cells)}${' '.repeat(BAR_CELLS - cells)}] ${Math.floor(share * 100)}% `;
    drawLine(`${event.step.padEnd(8)} ${bar}${(bytes / MIB).toFixed(1)} MiB`);
  }

  #line(...lines: string[]): void {
    this.close();
    process.stderr.write(`${lines.join('\n')}\n`);
  }
}
