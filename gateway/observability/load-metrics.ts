import type { MetricRegistry } from './metric-registry.ts';

/** Declares what is turned away because there is too much of it. */
export function loadMetrics(registry: MetricRegistry) {
  return {
    overloadLevel: registry
      .gauge({
        name: 'zasov_overload_level',
        help: 'Whose requests are turned away because the event loop is late: 0 nobody, 1 strangers, 2 programs too, 3 people too.',
      })
      .child({}),
    overloadShed: registry.counter({
      name: 'zasov_overload_shed_total',
      help: 'Requests turned away because the event loop was late.',
      labels: ['class'],
    }),
    connectionsRefused: registry.counter({
      name: 'zasov_connections_refused_total',
      help: 'Connections refused before their handshake: a client has too many (client) or opens them too fast (pace).',
      labels: ['reason'],
    }),
  };
}
