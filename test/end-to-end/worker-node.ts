import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CookieJar } from '../support/cookie-jar.ts';
import type { HttpsClient } from '../support/https-client.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { clientOf } from './small-crm-client.ts';

/** What `zasov status` says of one worker. */
export interface WorkerStatus {
  readonly pid: number;
  readonly connections: number;
  readonly requests_open: number;
}

let probes = 0;

/** Calls the control socket. */
export async function control(
  gateway: RunningGateway,
  method: string,
  path: string,
  body?: string,
): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const socketPath = join(gateway.data, 'control.sock');
    const outgoing = request({ socketPath, method, path }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.once('end', () => resolve(JSON.parse(text)));
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** The workers that take connections. */
export async function workersOf(gateway: RunningGateway): Promise<readonly WorkerStatus[]> {
  return ((await control(gateway, 'GET', '/v1/status')) as { workers: WorkerStatus[] }).workers;
}

/** The pid of the worker that answers this client, as the access log tells it. */
async function workerOf(gateway: RunningGateway, client: HttpsClient): Promise<number> {
  const path = `/login/probe-${(probes += 1)}-`;
  await client.get(path);
  for (let tries = 0; tries < 200; tries += 1) {
    const line = gateway.program.output.stderr.split('\n').find((each) => each.includes(path));
    if (line !== undefined) return (JSON.parse(line) as { pid: number }).pid;
    await pause(20);
  }
  throw new Error(`no access line for ${path}`);
}

/**
 * One client for each worker, with one jar if it is given: a browser whose connections went to different workers.
 * Every client keeps to one connection as long as it sends one request at a time.
 */
export async function clientsOnWorkers(gateway: RunningGateway, jar?: CookieJar): Promise<HttpsClient[]> {
  const pids = (await workersOf(gateway)).map(({ pid }) => pid);
  const clients = new Map<number, HttpsClient>();
  for (let tries = 0; tries < 60 && clients.size < pids.length; tries += 1) {
    const client = clientOf(gateway, jar);
    const pid = await workerOf(gateway, client);
    if (clients.has(pid)) client.close();
    else clients.set(pid, client);
  }
  return pids.map((pid) => {
    const client = clients.get(pid);
    if (client === undefined) throw new Error(`no connection went to worker ${pid}`);
    return client;
  });
}

/** Waits until something holds. @throws Error when it does not in time. */
export async function until(what: string, holds: () => Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await pause(25);
  }
}

/** Sum of all series of a metric on the ops listener. */
export async function metric(gateway: RunningGateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
