import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { RedisPlace } from '../../gateway/store/redis-connection.ts';
import { temporaryDirectory } from './start-gateway.ts';

/** One Redis server that a test started on loopback. */
export interface RedisServer {
  readonly port: number;
  readonly pid: number;
  readonly directory: string;
  readonly settings: string;
  readonly url: string;
  /** One command, over a connection of its own. */
  command(...words: string[]): Promise<unknown>;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

/** Several servers that work together. */
export interface RedisGroup {
  readonly place: RedisPlace;
  /** The data servers: primaries, and after them their replicas in the same order. */
  readonly servers: readonly RedisServer[];
  readonly stop: () => Promise<void>;
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a server on a port that is free now; somebody else may take it first, and then on another one. */
async function onFreePort(start: (port: number) => Promise<RedisServer>, tries = 5): Promise<RedisServer> {
  const port = await freePort();
  if (tries === 1) return await start(port);
  return await start(port).catch(() => onFreePort(start, tries - 1));
}

/** Starts one server; `settings` are lines of redis.conf. Ends with the test's process at the latest. */
export async function startRedis(
  settings: readonly string[] = [],
  port?: number,
  directory = temporaryDirectory(),
): Promise<RedisServer> {
  if (port === undefined) return await onFreePort((free) => startRedis(settings, free, directory));
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    'save ""',
    'appendonly no',
    'enable-debug-command local',
    ...settings,
  ];
  return await launch(port, directory, lines, []);
}

/** A server for a store alone. */
export async function startSingle(settings: readonly string[] = []): Promise<RedisGroup> {
  const server = await startRedis(settings);
  return { place: { kind: 'single', url: server.url }, servers: [server], stop: () => server.kill() };
}

/** One primary, one replica and three sentinels that fail over after a second of silence. */
export async function startSentinels(): Promise<RedisGroup> {
  const quick = ['repl-diskless-sync-delay 0', 'repl-ping-replica-period 1'];
  const primary = await startRedis(quick);
  const replica = await startRedis([...quick, `replicaof 127.0.0.1 ${primary.port}`]);
  await until(async () => String(await replica.command('INFO', 'replication')).includes('link_status:up'));
  const sentinels = await Promise.all(
    [1, 2, 3].map(() =>
      onFreePort(async (port) => {
        const directory = temporaryDirectory();
        const lines = [
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${directory}`,
          `sentinel monitor zasov 127.0.0.1 ${primary.port} 2`,
          'sentinel down-after-milliseconds zasov 1000',
          'sentinel failover-timeout zasov 3000',
        ];
        return await launch(port, directory, lines, ['--sentinel']);
      }),
    ),
  );
  await until(async () => {
    const infos = await Promise.all(sentinels.map((each) => each.command('INFO', 'sentinel')));
    return infos.every((info) => /slaves=1,sentinels=3/.test(String(info)));
  });
  return {
    place: { kind: 'sentinel', name: 'zasov', sentinels: sentinels.map(({ port }) => `127.0.0.1:${port}`) },
    servers: [primary, replica],
    stop: async () => {
      await Promise.all([primary, replica, ...sentinels].map((each) => each.kill()));
    },
  };
}

/** A server of a cluster, alone for now. */
async function startMember(settings: readonly string[] = []): Promise<RedisServer> {
  return await onFreePort(async (port) => {
    const bus = `cluster-port ${await freePort()}`;
    return await startRedis(['cluster-enabled yes', bus, 'cluster-node-timeout 2000', ...settings], port);
  });
}

/** Makes servers known to each other. */
async function meet(servers: readonly RedisServer[]): Promise<void> {
  const [first, ...others] = servers;
  for (const server of others) {
    const port = /cluster-port (\d+)/.exec(server.settings)?.[1] ?? '';
    await first?.command('CLUSTER', 'MEET', '127.0.0.1', String(server.port), port);
  }
  const isWhole = new RegExp(`cluster_state:ok[^]*cluster_known_nodes:${servers.length}\\b`);
  await until(async () => {
    const infos = await Promise.all(servers.map((each) => each.command('CLUSTER', 'INFO')));
    return infos.every((info) => isWhole.test(String(info)));
  }, 20_000);
}

/** A cluster of three primaries. */
export async function startCluster(): Promise<RedisGroup> {
  const servers = await Promise.all([0, 1, 2].map(() => startMember()));
  const size = Math.ceil(16_384 / servers.length);
  for (const [index, server] of servers.entries()) {
    const last = Math.min(16_383, (index + 1) * size - 1);
    await server.command('CLUSTER', 'ADDSLOTSRANGE', String(index * size), String(last));
    await server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }
  await meet(servers);
  return {
    place: { kind: 'cluster', nodes: servers.map(({ port }) => `127.0.0.1:${port}`) },
    servers,
    stop: async () => {
      await Promise.all(servers.map((each) => each.kill()));
    },
  };
}

/** A cluster of three primaries, each with a replica that takes over after two seconds of silence. */
export async function startReplicatedCluster(): Promise<RedisGroup> {
  const { place, servers: primaries } = await startCluster();
  // A replica may take over however long it heard nothing: tests have failovers lose what was written last.
  const anyAge = 'cluster-replica-validity-factor 0';
  const quick = ['repl-diskless-sync-delay 0', 'repl-ping-replica-period 1', anyAge];
  const replicas = await Promise.all(primaries.map(() => startMember(quick)));
  const servers = [...primaries, ...replicas];
  await meet(servers);
  for (const [index, replica] of replicas.entries()) {
    await replica.command('CLUSTER', 'REPLICATE', String(await primaries[index]?.command('CLUSTER', 'MYID')));
  }
  await until(async () => {
    const infos = await Promise.all(replicas.map((each) => each.command('INFO', 'replication')));
    return infos.every((info) => String(info).includes('link_status:up'));
  }, 20_000);
  return {
    place,
    servers,
    stop: async () => {
      await Promise.all(servers.map((each) => each.kill()));
    },
  };
}

/**
 * From here on its replicas hear nothing more, so what it takes now is lost with it. They are connected and wait for a
 * full copy that does not begin; replicas that were refused would come again thousands of times a second.
 */
export async function deafenReplicas(primary: RedisServer): Promise<void> {
  await primary.command('CONFIG', 'SET', 'repl-diskless-sync', 'yes', 'repl-diskless-sync-delay', '3600');
  await primary.command('DEBUG', 'CHANGE-REPL-ID');
  await primary.command('CLIENT', 'KILL', 'TYPE', 'replica');
}

/** Waits until a condition holds, ten seconds at most. */
export async function until(holds: () => Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await holds().catch(() => false)) return;
    if (performance.now() > deadline) throw new Error('what was waited for did not come');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function launch(
  port: number,
  directory: string,
  lines: readonly string[],
  flags: readonly string[],
): Promise<RedisServer> {
  const settings = `${lines.join('\n')}\n`;
  const file = join(directory, `redis-${port}.conf`);
  writeFileSync(file, settings);
  const child = spawn('redis-server', [file, ...flags], { stdio: ['ignore', 'ignore', 'ignore'] });
  const end = (): void => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  };
  process.setMaxListeners(0);
  process.once('exit', end);
  const server = {
    port,
    directory,
    settings,
    pid: child.pid ?? 0,
    url: `redis://127.0.0.1:${port}`,
    command: (...words: string[]) => ask(port, words),
    signal: (name: NodeJS.Signals) => void child.kill(name),
    kill: async () => {
      process.removeListener('exit', end);
      await killed(child);
    },
  };
  // Another server may answer on a port that it took first: then this one ends at once.
  const isUp = async () =>
    String(await server.command('INFO', 'server')).includes(`process_id:${server.pid}\r`);
  await Promise.race([until(isUp), once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
  return server;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function ask(port: number, words: readonly string[]): Promise<unknown> {
  const client = new Redis({
    port,
    lazyConnect: true,
    retryStrategy: null,
    enableReadyCheck: false,
    protocol: 2,
    // Whatever holds the port may accept and never answer.
    commandTimeout: 5000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const [name = '', ...rest] = words;
    return await client.call(name, ...rest);
  } finally {
    client.disconnect();
  }
}
