import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

import { startGateway } from '../gateway.ts';
import type { Gateway, GatewayOptions } from '../server/running-gateway.ts';
import { type CrmProcess, launchCrmNode } from './crm/crm-launch.ts';
import { preparePolicies } from './demo-policies.ts';

/** The demo's regions and the ports that its policies name. */
const REGIONS = [
  { region: 'msk', port: 9101 },
  { region: 'spb', port: 9102 },
  { region: 'nsk', port: 9103 },
];

/** How the demo is started. */
export interface DemoOptions extends GatewayOptions {
  /** Port of the public listener; `undefined` leaves all ports as the policies say, 0 takes free ones for everything. */
  readonly port: number | undefined;
}

/** A demo that runs. */
export interface Demo {
  readonly gateway: Gateway;
  readonly nodes: readonly { readonly region: string; readonly url: string; readonly pid: number }[];
  /** The policies in force, which people may edit. */
  readonly policies: string;
  stop(): Promise<void>;
}

/**
 * Starts three nodes of the demo CRM, each a process of its own, joins them, and puts the gateway in front.
 *
 * @throws when a port is taken or the policies are refused; nothing is left running then.
 */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const secret = randomBytes(24).toString('base64url');
  const nodes: CrmProcess[] = [];
  const closeNodes = async () => {
    await Promise.allSettled(nodes.map((node) => node.close()));
  };
  try {
    const started = await Promise.allSettled(
      REGIONS.map((wanted) => launch(wanted, options.port === 0, secret)),
    );
    for (const result of started) if (result.status === 'fulfilled') nodes.push(result.value);
    const failed = started.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const urls = nodes.map((node) => node.url);
    await Promise.all(nodes.map((node) => node.setPeers(urls.filter((url) => url !== node.url))));
    const policies = await preparePolicies(options, nodes);
    const gateway = await startGateway({ ...options, policies, startsAsWritten: true });
    return {
      gateway,
      policies,
      nodes: nodes.map(({ region, url, pid }) => ({ region, url, pid })),
      stop: async () => {
        await gateway.stop();
        await closeNodes();
      },
    };
  } catch (error) {
    await closeNodes();
    throw error;
  }
}

/** Takes the port that the policies name, or a free one when somebody else has it. */
async function launch(
  wanted: { region: string; port: number },
  isFree: boolean,
  secret: string,
): Promise<CrmProcess> {
  const port = isFree || (await isTaken(wanted.port)) ? 0 : wanted.port;
  return launchCrmNode({ region: wanted.region, port, peers: [], secret });
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ host: '127.0.0.1', port }, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
