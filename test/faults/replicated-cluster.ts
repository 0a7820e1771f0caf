import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { type ChildProgram, startProgram } from '../support/child-program.ts';

const PROGRAM = 'test/faults/replicated-node.ts';

/** One entry of a node's log. */
interface LogEntry {
  readonly key: string;
  readonly value: string;
  readonly id: string;
}

/** A node of the cluster, in a process of its own. */
export class ClusterNode {
  readonly region: string;
  readonly port: number;
  #program: ChildProgram | undefined;

  constructor(region: string, port: number) {
    this.region = region;
    this.port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.#program = startProgram(process.execPath, [PROGRAM, this.region, String(this.port)]);
    await this.#program.line(/^ready/, 20_000);
  }

  async kill(): Promise<void> {
    await this.#program?.kill();
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.#program !== undefined) process.kill(this.#program.pid, signal);
  }

  async control(
    action: string,
    document: object = {},
  ): Promise<{ log: LogEntry[]; epoch: number; role: string }> {
    const answer = await fetch(`${this.url}/control/${action}`, {
      method: 'POST',
      body: JSON.stringify(document),
      signal: AbortSignal.timeout(10_000),
    });
    return (await answer.json()) as { log: LogEntry[]; epoch: number; role: string };
  }
}

/** Three nodes and their operator, who promotes a node that has every acknowledged change. */
export class ReplicatedCluster {
  readonly nodes: readonly [ClusterNode, ClusterNode, ClusterNode];
  epoch = 0;
  primary: ClusterNode;
  /** The one that has every acknowledged change beside the primary. */
  standby: ClusterNode;

  private constructor(nodes: readonly [ClusterNode, ClusterNode, ClusterNode]) {
    this.nodes = nodes;
    [this.primary, this.standby] = nodes;
  }

  static async start(): Promise<ReplicatedCluster> {
    const [one, two, three] = await Promise.all([freePort(), freePort(), freePort()]);
    const nodes = [
      new ClusterNode('msk', one),
      new ClusterNode('spb', two),
      new ClusterNode('nsk', three),
    ] as const;
    await Promise.all(nodes.map((node) => node.start()));
    const cluster = new ReplicatedCluster(nodes);
    await cluster.promote(cluster.primary, cluster.standby);
    return cluster;
  }

  /** Makes a node primary in the next epoch. @param standby gets every change before it is acknowledged. */
  async promote(node: ClusterNode, standby: ClusterNode): Promise<void> {
    this.epoch++;
    this.primary = node;
    this.standby = standby;
    const followers = this.nodes
      .filter((each) => each !== node)
      .map((each) => ({ url: each.url, sync: each === standby }));
    await node.control('promote', { epoch: this.epoch, followers });
  }

  /** The node that is neither primary nor standby. */
  get third(): ClusterNode {
    const third = this.nodes.find((each) => each !== this.primary && each !== this.standby);
    if (third === undefined) throw new Error('there are three nodes');
    return third;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
