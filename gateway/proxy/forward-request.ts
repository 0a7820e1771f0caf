import type { IncomingHttpHeaders } from 'node:http';

import type { TroubleKind } from '../upstream/fleet.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import type { RequestBody } from './request-body.ts';

/** The request as it goes to the upstream. */
export interface ForwardRequest {
  readonly method: string;
  readonly path: string;
  /** Flat lower-case names and values. */
  readonly headers: string[];
  readonly body: RequestBody | undefined;
  /** Whether it may run twice: it changes nothing, and it has no body. */
  readonly isReplayable: boolean;
  /** Whether the client said that it reads trailers (RFC 9110 section 10.1.4). */
  readonly takesTrailers: boolean;
  /** Whether silence in the answer's body is normal (event streams). */
  readonly mayIdle: boolean;
  /** How long the upstream may take to begin its answer, and pause in it, in milliseconds. */
  readonly upstreamTimeoutMs: number;
  /** How long a client may take nothing of an answer that waits for it, in milliseconds. */
  readonly stallMs: number;
}

/** Decides what the client gets. */
export interface AnswerSink {
  /** Whether the first 64 KiB of the body are needed to decide on the head. */
  needsPrefix(status: number, headers: IncomingHttpHeaders): boolean;
  /**
   * Turns the upstream's head into the client's. `undefined` means that the client was answered otherwise and the
   * upstream's answer is to be dropped.
   */
  head(
    status: number,
    headers: IncomingHttpHeaders,
    prefix: Buffer | undefined,
  ): string[] | undefined | Promise<string[] | undefined>;
  /** The upstream broke off in the middle of the body: what the client sees must not look whole where that matters. */
  brokeOff(): void;
  /** Told of bytes of the body before they go out. @returns false when it broke the answer off instead. */
  passes(bytes: number): boolean;
  /** The request failed before any head was written. */
  fail(error: unknown): void;
  /** Something went wrong at a node, whatever becomes of the request. */
  trouble(node: UpstreamNode, kind: TroubleKind): void;
  /**
   * Finds a node for another try, other than those that were tried.
   *
   * @returns `undefined` when there is none; rejects when none came up in the time that a request may wait.
   */
  another(failed: UpstreamNode): UpstreamNode | undefined | Promise<UpstreamNode>;
}
