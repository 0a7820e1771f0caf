import { createInterface } from 'node:readline';
import { startCrmNode, type CrmNode, type CrmNodeOptions } from './crm-node.ts';

/** What `crm-launch.ts` writes to a node's standard input, one JSON document a line: options first, then peers. */
export type CrmProcessOptions = Omit<CrmNodeOptions, 'now'>;

/**
 * Runs one node as this process. Its options come as the first line of standard input, because arguments and the
 * environment can be read by other users and the nodes' secret must not; every later line `{"peers":[…]}` replaces
 * the peers. Writes `{"event":"ready","region":…,"url":…}` when it listens and `{"event":"peers"}` when new peers
 * were read. SIGTERM, SIGINT and the end of standard input (whoever started it is gone) close it.
 */
export async function runCrmProcess(): Promise<void> {
  let node: CrmNode | undefined;
  let isClosing = false;
  const close = (): void => {
    if (isClosing) return;
    isClosing = true;
    void (node?.close() ?? Promise.resolve()).finally(() => process.exit(0));
  };
  process.once('SIGTERM', close);
  process.once('SIGINT', close);
  // A parent that died closes the pipe; what is still printed then has no reader.
  process.stdout.on('error', close);
  for await (const line of createInterface({ input: process.stdin })) {
    const message = JSON.parse(line) as CrmProcessOptions;
    if (node === undefined) {
      node = await startCrmNode(message);
      say({ event: 'ready', region: message.region, url: node.url });
    } else {
      await node.setPeers(message.peers);
      say({ event: 'peers' });
    }
  }
  close();
}

function say(document: object): void {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}
