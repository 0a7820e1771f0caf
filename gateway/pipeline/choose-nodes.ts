import { GatewayError } from '../core/gateway-error.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import type { Wanted } from './own-writes.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';

/** How many requests of a process may wait for a primary; more are refused at once. */
const WAITING_LIMIT = 1024;
/** A node that refused a connection while it passes its checks is tried again so often, in milliseconds. */
const AGAIN_MS = 200;
const RETRY_AFTER_SECONDS = 2;

const NONE: readonly UpstreamNode[] = [];

/**
 * Chooses the node that a request goes to. Changes (every method but GET, HEAD and OPTIONS, routes with
 * `writes: true`, and WebSockets, of which nobody can tell what they will carry) go to the primary only, reads to the
 * best copy that is fresh enough and holds what its own asker wrote. Without a promise unless nobody may answer: then
 * changes, and reads that must see one, wait for `routing.write_wait`.
 *
 * @param tried nodes that were tried already.
 * @throws GatewayError `upstream_unreachable` when no copy may answer a read, `upstream_busy` when those that may have
 *   no room; rejects with `no_primary`.
 */
export function chooseNode(
  context: RequestContext,
  { ownWrites }: Pick<PipelineServices, 'ownWrites'>,
  tried: readonly UpstreamNode[] = NONE,
): UpstreamNode | Promise<UpstreamNode> {
  const wanted = context.isWrite ? 'primary' : ownWrites.wanted(context);
  const node = pick(context, wanted, tried);
  if (node !== undefined) return node;
  const { upstreams } = context.snapshot;
  if (wanted !== 'anything' || !upstreams.fleet.isSurveyed) return waitForNode(context, wanted, tried);
  throw new GatewayError('upstream_unreachable', 'no node that is healthy and fresh enough is left', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

function pick(
  { snapshot: { upstreams }, account, isStream }: RequestContext,
  wanted: Wanted,
  tried: readonly UpstreamNode[],
): UpstreamNode | undefined {
  const { reads, writes } = upstreams.planFor(account);
  let isBusy = false;
  for (const node of wanted === 'primary' ? writes : reads) {
    if (tried.includes(node)) continue;
    if (typeof wanted === 'object' && !node.holds(wanted) && !writes.includes(node)) continue;
    if (node.hasRoom(isStream)) return node;
    isBusy = true;
  }
  if (isBusy) {
    throw new GatewayError(
      'upstream_busy',
      'the nodes that may answer have more requests than they can take',
      {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      },
    );
  }
  return undefined;
}

/** Waits until something changes about the nodes that lets one of them answer, but only for so long. */
function waitForNode(
  context: RequestContext,
  wanted: Wanted,
  tried: readonly UpstreamNode[],
): Promise<UpstreamNode> {
  const { fleet } = context.snapshot.upstreams;
  const now = performance.now();
  // A request that waited, was tried and failed again does not wait anew.
  if (context.waitUntilMs === 0) context.waitUntilMs = now + context.snapshot.policy.routing.writeWaitMs;
  const leftMs = context.waitUntilMs - now;
  if (leftMs <= 0 || fleet.waiting >= WAITING_LIMIT) return Promise.reject(gaveUp(context));
  return new Promise((resolve, reject) => {
    fleet.waiting++;
    const finish = (end: () => void) => {
      fleet.waiting--;
      unlisten();
      clearTimeout(deadline);
      clearInterval(again);
      end();
    };
    const look = (excluded: readonly UpstreamNode[]) => {
      try {
        const node = pick(context, wanted, excluded);
        if (node === undefined) return;
        fleet.observer.waited(true);
        finish(() => resolve(node));
      } catch (error) {
        finish(() => reject(error));
      }
    };
    const unlisten = fleet.onChange(() => look(tried));
    // Nothing was sent where a connection was refused, and it may be taken the next time.
    const again = setInterval(() => look(NONE), AGAIN_MS);
    const deadline = setTimeout(() => finish(() => reject(gaveUp(context))), leftMs);
  });
}

function gaveUp(context: RequestContext): GatewayError {
  const { upstreams } = context.snapshot;
  upstreams.fleet.observer.waited(false);
  const why = upstreams.isConflict
    ? 'two nodes call themselves primary in one epoch, and neither is trusted'
    : 'no node may take it: there is no primary that is healthy and in no sealed region';
  const code = upstreams.fleet.isSurveyed ? 'no_primary' : 'upstream_unreachable';
  return new GatewayError(code, why, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}
