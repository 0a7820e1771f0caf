import { parseArgs } from 'node:util';

import { processEnvironment } from '../config/environment.ts';
import { formatMistake } from '../policy/mistake.ts';
import { loadPolicy, type LoadedPolicy } from '../policy/load-policy.ts';
import { readAsker, readRequest } from './asked-request.ts';
import type { GatewayStatus } from '../server/control-api.ts';
import { callControl } from './control-client.ts';
import { nodeTable } from './status.ts';
import { type Decision, decideOffline } from './offline-decision.ts';

/**
 * `zasov explain METHOD URL [--header 'K: V'] [--as session:SUBJECT@ACCOUNT|key:ID|admin:NAME] [--client ADDRESS]
 * [--policies PATH] [--data DIR] [--json]`: which route decides over a request, and why, on the policies alone: no
 * session is looked up and no node is asked. With `--data` the gateway that runs there tells what its nodes are.
 *
 * @returns 0 with the decision, whichever it is; 1 when the policies are refused.
 */
export async function runExplain(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      policies: { type: 'string', default: 'policies' },
      header: { type: 'string', multiple: true, default: [] },
      as: { type: 'string' },
      client: { type: 'string', default: '127.0.0.1' },
      data: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const request = readRequest(positionals, values.header, values.client);
  const asker = values.as === undefined ? undefined : readAsker(values.as);
  const reading = loadPolicy(values.policies, processEnvironment());
  if ('mistakes' in reading) {
    process.stderr.write(`${reading.mistakes.map(formatMistake).join('\n')}\n`);
    return 1;
  }
  const decision = decideOffline(reading, request, asker);
  if (values.data !== undefined && !values.json && decision.region !== null) {
    const { value } = await callControl(values.data, 'GET', '/v1/status');
    process.stdout.write(`${describe(decision, reading)}\n${nodeTable(value as GatewayStatus)}\n`);
    return 0;
  }
  process.stdout.write(values.json ? `${JSON.stringify(answerOf(decision))}\n` : describe(decision, reading));
  return 0;
}

function answerOf({ route, access, allowed, code, region, node, limit }: Decision) {
  return { route, access, allowed, code, region, node, limit };
}

function describe(decision: Decision, { settings }: LoadedPolicy): string {
  const width = Math.max(...settings.routes.map(({ name }) => name.length));
  const lines = decision.misses.map(
    ({ name, reason }, index) => `${String(index + 1).padStart(3)}  ${name.padEnd(width)}  missed: ${reason}`,
  );
  if (decision.route !== null) {
    const number = String(decision.misses.length + 1).padStart(3);
    const limit = decision.limit === null ? 'no limit' : `limit ${decision.limit}`;
    lines.push(`${number}  ${decision.route.padEnd(width)}  matched: access ${decision.access}, ${limit}`);
  }
  lines.push('', `${decision.allowed ? 'allowed' : `refused with ${decision.code}`}: ${decision.reason}`);
  if (decision.region !== null) {
    lines.push(`region ${decision.region}, node ${decision.node}`);
    if (decision.isWrite) lines.push('a change: it goes to whichever node is primary');
  }
  return `${lines.join('\n').replace(/^\n/, '')}\n`;
}
