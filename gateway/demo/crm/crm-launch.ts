import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { CrmProcessOptions } from './crm-process.ts';

/** A node in a process of its own. */
export interface CrmProcess {
  readonly region: string;
  readonly url: string;
  readonly pid: number;
  /** Resolves when the process is gone, whoever ended it. */
  readonly exited: Promise<void>;
  /** Replaces the list of peers; resolves when the node read the new ones once. */
  setPeers(peers: readonly string[]): Promise<void>;
  /** Asks the node to close (SIGTERM) and waits for it. */
  close(): Promise<void>;
  /** Kills it on the spot (SIGKILL) and waits for it. */
  kill(): Promise<void>;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

/**
 * Starts a node of the demo CRM as its own process and waits until it listens. It ends by itself when this process
 * does. To bring a killed node back, launch it again with the port of its old `url`.
 *
 * @throws Error when the process ends before it is ready, for example because the port is taken.
 */
export async function launchCrmNode(options: CrmProcessOptions): Promise<CrmProcess> {
  const entry = new URL('./crm-process.ts', import.meta.url).href;
  const program = `import { runCrmProcess } from ${JSON.stringify(entry)}; await runCrmProcess();`;
  const child: Child = spawn(
    process.execPath,
    ['--input-type=module', '--eval', program, 'crm', options.region],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
      // Signals of the terminal go to the demo, which closes its nodes in order.
      detached: true,
    },
  );
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exchange = async (message: object): Promise<Record<string, unknown>> => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    const line = await lines.next();
    if (line.done === true) throw new Error(`the CRM node of ${options.region} ended`);
    return JSON.parse(line.value) as Record<string, unknown>;
  };
  child.stdin.on('error', () => child.kill('SIGKILL'));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exited;
  };
  const ready = await exchange(options);
  return {
    region: options.region,
    url: String(ready['url']),
    pid: child.pid ?? 0,
    exited,
    setPeers: async (peers) => {
      await exchange({ peers });
    },
    close: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}
