import type { Dispatcher } from 'undici';
import { isHopByHop } from './hop-by-hop.ts';

type UpstreamHeaders = Record<string, string | string[] | undefined>;

/** Where an answer of the bare forwarders goes: an HTTP/1 response or an HTTP/2 stream. */
export interface AnswerSink {
  head(status: number, headers: UpstreamHeaders): void;
  /** @returns false when the sink is full; the forwarder calls `resume` of the handler on drain. */
  data(chunk: Buffer): boolean;
  end(): void;
  fail(error: Error): void;
}

/**
 * The bare forwarders' dispatch handler: writes straight to the sink, pauses when it is full, and does nothing else.
 * `clientGone` aborts the upstream request.
 */
export class BareHandler implements Dispatcher.DispatchHandler {
  readonly #sink: AnswerSink;
  #controller: Dispatcher.DispatchController | undefined;
  #gone = false;

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  /** The client can take more. */
  resume(): void {
    this.#controller?.resume();
  }

  /** The client went away before the answer was whole. */
  clientGone(): void {
    this.#gone = true;
    this.#controller?.abort(new Error('the client is gone'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#gone) controller.abort(new Error('the client is gone'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: UpstreamHeaders): void {
    if (status >= 200) this.#sink.head(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#sink.data(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#sink.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (!this.#gone) this.#sink.fail(error);
  }
}

/** Copies headers as name and value pairs, without the hop-by-hop ones and those that `Connection` names. */
export function forwardedHeaders(raw: readonly string[]): string[] {
  const copy: string[] = [];
  let named: Set<string> | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    const lower = name.toLowerCase();
    if (lower === 'connection' && value !== 'keep-alive') {
      named = new Set(
        value
          .toLowerCase()
          .split(',')
          .map((entry) => entry.trim()),
      );
    }
    if (!isHopByHop(lower)) copy.push(name, value);
  }
  return named === undefined ? copy : withoutNamed(copy, named);
}

function withoutNamed(headers: readonly string[], named: ReadonlySet<string>): string[] {
  return headers.filter((_, at) => !named.has((headers[at - (at % 2)] ?? '').toLowerCase()));
}
