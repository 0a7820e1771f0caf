/**
 * The usual way to build such a gateway, a program of its own: `http-proxy` behind Node `https`. As its documentation
 * starts it, it opens a connection to the upstream for every request; with `keep-alive` it is given an agent.
 *
 * Usage: `node http-proxy-forwarder.ts UPSTREAM CERT KEY [keep-alive]`
 */
import { Agent } from 'node:http';
import { createServer } from 'node:https';
import { createProxyServer } from 'http-proxy';
import { listenAndSayReady, serviceArguments } from './service.ts';

const { upstream, tls } = serviceArguments();
const proxy = createProxyServer({
  target: upstream,
  ...(process.argv[5] === 'keep-alive' && { agent: new Agent({ keepAlive: true, maxSockets: 256 }) }),
});
proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response && !response.headersSent) response.writeHead(502).end();
  else response.destroy();
});

listenAndSayReady(
  createServer({ ...tls, keepAliveTimeout: 75_000, noDelay: true }, (request, response) => {
    proxy.web(request, response);
  }),
);
