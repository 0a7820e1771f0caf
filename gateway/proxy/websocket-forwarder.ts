import type { IncomingMessage } from 'node:http';

import { createProxyServer } from 'http-proxy';

import type { UpstreamNode } from '../upstream/upstream-node.ts';
import type { WebSocketClient } from './websocket-client.ts';

/** Carries WebSocket upgrades, and nothing else, to the upstream. */
export interface WebSocketForwarder {
  /**
   * Sends an upgrade request on and joins both sides.
   *
   * @param request its `headers` are replaced by `headers`; its target is forwarded byte for byte.
   * @param onFailure called when the upstream cannot be reached or breaks off; the client's socket is closed already
   *   when its answer head was written.
   */
  forward(
    request: IncomingMessage,
    client: WebSocketClient,
    node: UpstreamNode,
    headers: Record<string, string>,
    onFailure: (error: unknown) => void,
  ): void;
}

/** Makes the forwarder. One is enough for a process. */
export function createWebSocketForwarder(): WebSocketForwarder {
  const proxy = createProxyServer({ ws: true, xfwd: false, changeOrigin: false });
  // The library passes every error of a client's stream on to here and throws when nobody listens, which would end the
  // process; the stream itself closes both sides.
  proxy.on('error', () => undefined);
  proxy.on('proxyReqWs', (outgoing, request, client) => {
    // The library rebuilds the path; the one that was authorized is the one that is sent.
    outgoing.path = request.url ?? '/';
    // It also forgets the upstream while that has not answered, and when it breaks off a refusal.
    client.on('close', () => outgoing.destroy());
    client.on('cut', () => outgoing.destroy());
    outgoing.on('upgrade', (_answer, socket) => {
      client.on('close', () => socket.destroySoon());
      client.on('cut', () => socket.destroy());
    });
    outgoing.on('response', (answer) => {
      answer.on('close', () => {
        if (!answer.complete) client.destroy();
      });
    });
  });
  return {
    forward: (request, client, node, headers, onFailure) => {
      Object.defineProperty(request, 'headers', { value: headers, configurable: true });
      const socket = client as unknown as Parameters<typeof proxy.ws>[1];
      const { upgradeAgent: agent } = node.connector;
      proxy.ws(request, socket, Buffer.alloc(0), { target: node.origin, agent }, onFailure);
    },
  };
}
