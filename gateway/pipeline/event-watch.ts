import type { UpstreamNode } from '../upstream/upstream-node.ts';
import type { OpenStream, OpenStreams } from './open-streams.ts';
import type { PipelineReport } from './services.ts';

/** Keeps an event stream among those that a stop ends first, and ends it at its greatest age. */
export class EventWatch {
  isOpen = false;
  readonly #stream: OpenStream;
  readonly #streams: OpenStreams;
  readonly #report: PipelineReport;
  #maxAge: NodeJS.Timeout | undefined;

  constructor(stream: OpenStream, streams: OpenStreams, report: PipelineReport) {
    this.#stream = stream;
    this.#streams = streams;
    this.#report = report;
  }

  /** @param node the one that the stream comes from. */
  open(maxAgeMs: number, node: UpstreamNode | undefined): void {
    this.isOpen = true;
    this.#streams.add(this.#stream, node);
    this.#report.stream('sse', 1);
    this.#maxAge = setTimeout(() => this.#stream.shutDown('moving'), maxAgeMs).unref();
  }

  close(): void {
    if (!this.isOpen) return;
    clearTimeout(this.#maxAge);
    this.#streams.delete(this.#stream);
    this.#report.stream('sse', -1);
  }
}
