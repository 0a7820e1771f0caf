import { type HealthSettings, watchHealth } from './health-check.ts';
import type { UpstreamMap } from './upstream-map.ts';

/** Keeps one health check running for each node of the map in force, across policy reloads. */
export class HealthWatch {
  #stops: (() => void)[] = [];
  #unlisten: (() => void) | undefined;

  /**
   * Checks the nodes of a new map. Nodes that stay keep what is known of them and are checked by the new settings;
   * nodes that are gone are asked no more, and an answer that is still under way counts for nothing.
   *
   * @param settingsFor the health settings of a region.
   */
  watch(map: UpstreamMap, settingsFor: (region: string) => HealthSettings | undefined): void {
    this.stop();
    const { fleet, nodes } = map;
    this.#unlisten = fleet.onChange(() => {
      if (!fleet.isSurveyed && nodes.every(({ checked }) => checked)) {
        fleet.isSurveyed = true;
        fleet.changed();
        return;
      }
      // At once and not with the next request: requests that wait for a fenced primary are cut off here.
      map.refresh();
    });
    for (const node of nodes) {
      const settings = settingsFor(node.region);
      if (settings !== undefined) this.#stops.push(watchHealth(node, settings, fleet));
    }
    // The listener before may have seen things that the new map has not.
    fleet.changed();
  }

  stop(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }
}
