import type { PipelineReport } from './services.ts';

/** A stream that ends only when it is told to. */
export interface OpenStream {
  /** Ends it because the gateway shuts down. */
  shutDown(): void;
}

/** Keeps an event stream among those that a stop ends first, and ends it at its greatest age. */
export class EventWatch {
  isOpen = false;
  readonly #stream: OpenStream;
  readonly #streams: Set<OpenStream>;
  readonly #report: PipelineReport;
  #maxAge: NodeJS.Timeout | undefined;

  constructor(stream: OpenStream, streams: Set<OpenStream>, report: PipelineReport) {
    this.#stream = stream;
    this.#streams = streams;
    this.#report = report;
  }

  open(maxAgeMs: number): void {
    this.isOpen = true;
    this.#streams.add(this.#stream);
    this.#report.stream('sse', 1);
    this.#maxAge = setTimeout(() => this.#stream.shutDown(), maxAgeMs).unref();
  }

  close(): void {
    if (!this.isOpen) return;
    clearTimeout(this.#maxAge);
    this.#streams.delete(this.#stream);
    this.#report.stream('sse', -1);
  }
}
