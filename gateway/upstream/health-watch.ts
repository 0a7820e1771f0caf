import { type HealthSettings, watchHealth } from './health-check.ts';
import type { UpstreamMap } from './upstream-map.ts';
import type { UpstreamNode } from './upstream-node.ts';

/** Keeps one health check running for each node of the map in force, across policy reloads. */
export class HealthWatch {
  readonly #onTurn: (node: UpstreamNode) => void;
  readonly #stops = new Map<UpstreamNode, () => void>();

  /** @param onTurn told when a node turns healthy or unhealthy. */
  constructor(onTurn: (node: UpstreamNode) => void) {
    this.#onTurn = onTurn;
  }

  /**
   * Checks the nodes of a new map. Nodes that stay keep their health and are checked by the new settings; nodes that
   * are gone are asked no more.
   *
   * @param settingsFor the health settings of a region.
   */
  watch(map: UpstreamMap, settingsFor: (region: string) => HealthSettings | undefined): void {
    this.stop();
    for (const node of map.nodes) {
      const settings = settingsFor(node.region);
      if (settings !== undefined) this.#stops.set(node, watchHealth(node, settings, this.#onTurn));
    }
  }

  stop(): void {
    for (const stop of this.#stops.values()) stop();
    this.#stops.clear();
  }
}
