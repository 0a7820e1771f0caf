import type { UpstreamNode } from './upstream-node.ts';

/** How a node's health is asked for; the policy's `health` section fits. */
export interface HealthSettings {
  readonly path: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
}

/** Told when a node's health turns. */
export type HealthListener = (node: UpstreamNode) => void;

/**
 * Asks a node for its health, from the start and then at intervals, until stopped. A node turns only after the
 * number of equal results in a row that the settings name.
 *
 * @returns a function that stops the checks.
 */
export function watchHealth(
  node: UpstreamNode,
  settings: HealthSettings,
  onTurn: HealthListener,
): () => void {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  const again = async () => {
    const isWell = await answersWell(node, settings);
    if (isStopped) return;
    record(node, isWell, settings, onTurn);
    timer = setTimeout(() => void again(), settings.everyMs).unref();
  };
  void again();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

/** Counts one result and turns the node when enough of a kind came in a row. */
export function record(
  node: UpstreamNode,
  isWell: boolean,
  settings: HealthSettings,
  onTurn: HealthListener,
): void {
  node.successes = isWell ? node.successes + 1 : 0;
  node.failures = isWell ? 0 : node.failures + 1;
  const turnsDown = node.healthy && node.failures >= settings.unhealthyAfter;
  const turnsUp = !node.healthy && node.successes >= settings.healthyAfter;
  if (!turnsDown && !turnsUp) return;
  node.healthy = turnsUp;
  onTurn(node);
}

async function answersWell(node: UpstreamNode, settings: HealthSettings): Promise<boolean> {
  try {
    const answer = await node.probe.request({
      path: settings.path,
      method: 'GET',
      headers: { host: node.host, 'user-agent': 'zasov-health' },
      signal: AbortSignal.timeout(settings.timeoutMs),
    });
    await answer.body.dump();
    return answer.statusCode >= 200 && answer.statusCode < 300;
  } catch {
    return false;
  }
}
