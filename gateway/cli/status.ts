import { parseArgs } from 'node:util';

import type { GatewayStatus } from '../server/control-api.ts';
import { sizeText } from './backup-watch.ts';
import { callControl } from './control-client.ts';
import { table } from './table.ts';

/**
 * `zasov status`: what a running gateway says of itself.
 *
 * @returns 0 when it is ready, 1 when it is not.
 */
export async function runStatus(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { data: { type: 'string', default: 'var' }, json: { type: 'boolean', default: false } },
  });
  const { value } = await callControl(values.data, 'GET', '/v1/status');
  const status = value as GatewayStatus;
  process.stdout.write(values.json ? `${JSON.stringify(status)}\n` : `${describe(status)}\n`);
  return status.ready ? 0 : 1;
}

function describe(status: GatewayStatus): string {
  const facts = [
    ['ready', status.ready ? 'yes' : 'no'],
    ['version', status.version],
    ['process', `${status.pid} since ${status.started_at}`],
    [
      'policies',
      `${status.policies.path}, in force since ${status.policies.loaded_at}, ${status.policies.last_reload}`,
    ],
    ...(status.policies.held === null
      ? []
      : [
          ['held', `sha256:${status.policies.held.policy}, until both administrators approve`],
          ...status.policies.held.changes.map((each) => ['', each]),
        ]),
    ...Object.entries(status.listeners).map(([name, origin]) => [name, origin ?? '']),
    ['sessions', String(status.sessions)],
    ['requests open', String(status.requests_open)],
    ['connections', String(status.connections)],
    ...(status.workers ?? []).map(({ pid, connections, requests_open: open }) => [
      'worker',
      `${pid}, ${connections} connections, ${open} requests open`,
    ]),
    ...backupFacts(status.backup ?? null),
    ...status.certificates.map(({ host, expires_at }) => ['certificate', `${host} until ${expires_at}`]),
  ];
  return `${table(['fact', 'value'], facts)}\n\n${nodeTable(status)}`;
}

function backupFacts(backup: GatewayStatus['backup']): string[][] {
  if (backup === null || backup === undefined) return [];
  const { last, running, failure } = backup;
  const made =
    last === null ? 'none yet' : `${last.archive}, ${sizeText(last.bytes)}, snapshot of ${last.created_at}`;
  return [
    ['backup', made],
    ...(failure === null ? [] : [['', `failed ${backup.failures} times since: ${failure}`]]),
    ...(running === null ? [] : [['', `one is under way: ${running.phase}, ${sizeText(running.bytes)}`]]),
    ['', `next at ${backup.next_at}, to ${backup.target}`],
    ['', `last proved by a drill ${backup.last_drill_at ?? 'never'}`],
    ...backup.warnings.map((warning) => ['', warning]),
  ];
}

/** The nodes with what they say of themselves, for `status` and `explain`. */
export function nodeTable({ nodes }: Pick<GatewayStatus, 'nodes'>): string {
  const rows = nodes.map((node) => [
    node.region,
    node.url,
    node.healthy ? 'healthy' : 'unhealthy',
    node.role,
    String(node.epoch ?? '-'),
    node.lag_ms === null ? '-' : `${Math.round(node.lag_ms)} ms`,
    node.state,
  ]);
  return table(['region', 'node', 'health', 'role', 'epoch', 'lag', 'state'], rows);
}
