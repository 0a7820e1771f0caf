import type { OpenStream, OpenStreams } from './open-streams.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineReport } from './services.ts';

/** Keeps an event stream that is open among those that a stop ends first, and ends it at its greatest age. */
export class EventWatch {
  readonly #stream: OpenStream;
  readonly #streams: OpenStreams;
  readonly #report: PipelineReport;
  readonly #maxAge: NodeJS.Timeout;

  constructor(
    stream: OpenStream,
    streams: OpenStreams,
    report: PipelineReport,
    { snapshot, forwarding }: RequestContext,
  ) {
    this.#stream = stream;
    this.#streams = streams;
    this.#report = report;
    streams.add(stream, forwarding?.node);
    report.stream('sse', 1);
    this.#maxAge = setTimeout(
      () => stream.shutDown('moving'),
      snapshot.policy.protection.streamMaxAgeMs,
    ).unref();
  }

  close(): void {
    clearTimeout(this.#maxAge);
    this.#streams.delete(this.#stream);
    this.#report.stream('sse', -1);
  }
}
