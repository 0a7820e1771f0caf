import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import { hasReached, readPositionHeader, type WritePosition } from '../upstream/data-position.ts';
import type { UpstreamMap } from '../upstream/upstream-map.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import type { RequestContext } from './request-context.ts';

/** Tells the gateway that this browser has changed something a moment ago. Holds nothing but where to look it up. */
export const WROTE_COOKIE = '__Host-Http-zasov-wrote';

/** What a read must see: anything; everything up to a write; or whatever only the primary can be sure of. */
export type Wanted = 'anything' | 'primary' | WritePosition;

interface Entry {
  /** `undefined`: the node did not say, so that only the primary is sure to have it. */
  readonly write: WritePosition | undefined;
  readonly atMs: number;
  readonly untilMs: number;
}

/** People and programs that wrote a moment ago; more of them and programs are sent to the primary for a while. */
const REMEMBERED = 20_000;
const TOKEN_CHARS = 12;

/**
 * Read your own writes. After a change its session or key reads from nodes that hold it, until every copy that may
 * answer reads holds it anyway (`UpstreamMap.settleMs`).
 *
 * What was written where is known to the process that passed the answer on, and to no other: another one would have
 * to be asked, and its answer could be late. So a browser also gets a cookie that names that process; a process that
 * finds another's name, or has no memory of its own, sends the read to the primary. A program under an API key keeps no
 * cookies: where several processes serve, its reads go to the primary.
 *
 * A cookie with the position itself would be wrong: two changes at once are answered in any order, and the browser
 * keeps the older one.
 */
export class OwnWrites {
  readonly #token = randomBytes(9).toString('base64url').slice(0, TOKEN_CHARS);
  readonly #isAlone: boolean;
  readonly #startMs = performance.now();
  /** By session id, or account and subject of a key; the oldest first. */
  readonly #entries = new Map<string, Entry>();
  /** Until when the memory is not whole, because entries had to go before their time. */
  #lossyUntilMs = 0;

  /** @param isAlone whether no other process serves the same people. */
  constructor(isAlone: boolean) {
    this.#isAlone = isAlone;
  }

  /** What the reads of whoever sent the request must see. */
  wanted(context: RequestContext): Wanted {
    const { key, wroteToken, session } = context;
    if (key === undefined && wroteToken === undefined) return 'anything';
    const { upstreams } = context.snapshot;
    if (!upstreams.hasCopies) return 'anything';
    if (key !== undefined) return this.#wantedByKey(`${key.account} ${key.subject}`, upstreams);
    if (!this.#isAlone || wroteToken !== this.#token || session === undefined) return 'primary';
    return this.#look(session.id) ?? 'primary';
  }

  /**
   * Takes note of an answer: how far its node is, and of a change who made it.
   *
   * @returns the `Set-Cookie` value for the browser that made a change, if it needs one.
   */
  noteAnswer(
    context: RequestContext,
    node: UpstreamNode,
    status: number,
    headers: IncomingHttpHeaders,
  ): string | undefined {
    const value = headers['zasov-position'];
    if (value === undefined && !context.isWrite) return undefined;
    const write = typeof value === 'string' ? readPositionHeader(value, node.epoch) : undefined;
    if (write !== undefined) node.sawPosition(write);
    const { upstreams } = context.snapshot;
    if (!context.isWrite || !upstreams.hasCopies) return undefined;
    // A refusal that names no position changed nothing.
    if (write === undefined && status >= 400 && status < 500) return undefined;
    return this.#noteWrite(context, write);
  }

  /** The answer that was noted began a session, which is the one to remember. */
  began(context: RequestContext, sessionId: string): void {
    if (context.wroteCookie !== undefined) this.#remember(sessionId, context.wrote, context);
  }

  #noteWrite(context: RequestContext, write: WritePosition | undefined): string | undefined {
    const { key, session, snapshot } = context;
    const { upstreams } = snapshot;
    context.wrote = write;
    if (key !== undefined) {
      this.#remember(`${key.account} ${key.subject}`, write, context);
      return undefined;
    }
    if (session !== undefined) this.#remember(session.id, write, context);
    const seconds = Math.ceil(upstreams.settleMs / 1000);
    return `${WROTE_COOKIE}=${this.#token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${seconds}`;
  }

  #wantedByKey(name: string, { settleMs }: UpstreamMap): Wanted {
    const now = performance.now();
    if (!this.#isAlone || now < this.#lossyUntilMs || now - this.#startMs < settleMs) return 'primary';
    return this.#entries.size === 0 ? 'anything' : (this.#look(name) ?? 'anything');
  }

  #look(name: string): Wanted | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    if (entry.untilMs < performance.now()) return 'anything';
    return entry.write ?? 'primary';
  }

  #remember(name: string, write: WritePosition | undefined, { startMs, snapshot }: RequestContext): void {
    if (!this.#isAlone) return;
    const now = performance.now();
    const before = this.#entries.get(name);
    // A change that began when the one before was answered is behind it in the log; of two at once the later counts.
    const isBehind = before === undefined || before.untilMs < now || before.atMs <= startMs;
    this.#entries.delete(name);
    this.#entries.set(name, {
      write: isBehind ? write : later(before.write, write),
      atMs: now,
      untilMs: now + snapshot.upstreams.settleMs,
    });
    for (const [oldest, { untilMs }] of this.#entries) {
      if (untilMs >= now && this.#entries.size <= REMEMBERED) break;
      if (untilMs >= now) this.#lossyUntilMs = untilMs;
      this.#entries.delete(oldest);
    }
  }
}

/** The later of two positions; `undefined`, which only the primary satisfies, when nobody can tell. */
function later(one: WritePosition | undefined, other: WritePosition | undefined): WritePosition | undefined {
  if (one === undefined || other === undefined) return undefined;
  if (one.epoch !== other.epoch) return one.epoch > other.epoch ? one : other;
  if (hasReached(one.position, other.position)) return one;
  return hasReached(other.position, one.position) ? other : undefined;
}
