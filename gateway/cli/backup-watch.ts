import { setTimeout as pause } from 'node:timers/promises';

import type { RunView } from '../server/backup-runs.ts';
import { callControl } from './control-client.ts';
import { drawLine, eraseLine } from './drawn-line.ts';

const ASK_MS = 250;
const BAR_CELLS = 24;

/** How progress is shown: events for programs, a bar for people at a terminal, nothing otherwise. */
export interface WatchFlags {
  readonly data: string;
  readonly json: boolean;
}

/**
 * Begins work at a running gateway and waits for it, showing how far it is: a bar on a terminal, JSON events where the
 * output goes elsewhere, and only the result with `--json`. The work goes on when the one who waits is gone.
 *
 * @param signal ends the waiting.
 * @returns what came of it. @throws Error with what the gateway says; the reason of the signal.
 */
export async function watchRun(
  flags: WatchFlags,
  signal: AbortSignal,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const begun = await callControl(flags.data, 'POST', path, body);
  if (begun.status >= 300) throw new Error(refusalOf(begun.value));
  const { run } = begun.value as { run: string };
  const screen = new ProgressScreen(flags.json);
  try {
    for (;;) {
      const { status, value } = await callControl(flags.data, 'GET', `/v1/backup/runs/${run}`);
      if (status !== 200) throw new Error(refusalOf(value));
      const view = value as RunView;
      screen.show(view);
      if (view.state === 'done') return view.result;
      if (view.state === 'failed') throw new Error(view.error ?? 'it failed');
      await pause(ASK_MS, undefined, { signal });
    }
  } finally {
    screen.close();
  }
}

/** What a refusing gateway says. */
export function refusalOf(value: unknown): string {
  return (value as { error?: string }).error ?? 'refused';
}

class ProgressScreen {
  readonly #style: 'bar' | 'events' | 'none';
  readonly #startMs = performance.now();
  #last = '';

  constructor(isJson: boolean) {
    if (isJson) this.#style = 'none';
    else this.#style = process.stderr.isTTY ? 'bar' : 'events';
  }

  show({ phase, bytes, total_bytes: total, state }: RunView): void {
    const seconds = Math.max(0.001, (performance.now() - this.#startMs) / 1000);
    if (this.#style === 'bar') {
      const rate = `${sizeText(bytes / seconds)}/s`;
      const amount = total === null ? sizeText(bytes) : `${sizeText(bytes)} of ${sizeText(total)}`;
      drawLine(`${barOf(bytes, total, seconds)} ${amount.padEnd(10)}  ${rate}  ${phase}`);
    } else if (this.#style === 'events') {
      const line = JSON.stringify({ event: 'progress', state, phase, bytes, total_bytes: total });
      if (line !== this.#last) process.stdout.write(`${line}\n`);
      this.#last = line;
    }
  }

  close(): void {
    if (this.#style === 'bar') eraseLine();
  }
}

/** A bar that fills up, or one that wanders where nobody knows how much there is. */
function barOf(bytes: number, total: number | null, seconds: number): string {
  if (total === null || total === 0) {
    const place = Math.floor(seconds * 4) % BAR_CELLS;
    return `[${'·'.repeat(place)}#${'·'.repeat(BAR_CELLS - place - 1)}]`;
  }
  const filled = Math.min(BAR_CELLS, Math.round((bytes / total) * BAR_CELLS));
  return `[${'#'.repeat(filled)}${'·'.repeat(BAR_CELLS - filled)}]`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** An amount of bytes for people. */
export function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[power] ?? 'B'}`;
}
