import { parseArgs } from 'node:util';

import type { RegionChange, RegionSummary } from '../server/control-regions.ts';
import { callControl } from './control-client.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

const OPTIONS = {
  data: { type: 'string', default: 'var' },
  json: { type: 'boolean', default: false },
} as const;

/** What is said to the control API for each word; `undrain` is the other name of `open`. */
const ACTIONS: Partial<Record<string, string>> = {
  drain: 'drain',
  seal: 'seal',
  open: 'open',
  undrain: 'open',
  unseal: 'unseal',
};

/** What `zasov regions --help` shows. */
export const REGIONS_USAGE = `zasov regions list
       zasov regions drain ID | undrain ID | seal ID | unseal ID
       each with [--data DIR] [--json]`;

interface Flags {
  readonly data: string;
  readonly json: boolean;
}

/**
 * `zasov regions list|drain|undrain|seal|unseal`: shows or changes the condition of regions of a running gateway.
 *
 * @returns the exit code. @throws UsageError.
 */
export async function runRegions(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const [word = '', id, ...rest] = positionals;
  if (word === 'list' && id === undefined) return await list(values);
  const action = Object.hasOwn(ACTIONS, word) ? ACTIONS[word] : undefined;
  if (action === undefined || id === undefined || rest.length > 0) throw new UsageError(REGIONS_USAGE);
  return await change(values, action, id);
}

async function list(flags: Flags): Promise<number> {
  const { status, value } = await callControl(flags.data, 'GET', '/v1/regions');
  if (status !== 200) throw new Error((value as { error?: string }).error ?? 'refused');
  const regions = value as RegionSummary[];
  if (flags.json) {
    const rows = regions.map(({ id, state, nodes }) => ({ id, state, nodes }));
    process.stdout.write(`${JSON.stringify(rows)}\n`);
    return 0;
  }
  const cells = regions.flatMap(({ id, state, causes, nodes }) =>
    nodes.map(({ url, healthy, role, lag_ms: lagMs }) => [
      id,
      state,
      causes.join(', ') || '-',
      url,
      healthy ? 'healthy' : 'unhealthy',
      role,
      lagMs === null ? '-' : `${lagMs} ms`,
    ]),
  );
  const headings = ['region', 'state', 'because of', 'node', 'health', 'role', 'lag'];
  process.stdout.write(`${table(headings, cells)}\n`);
  return 0;
}

async function change(flags: Flags, action: string, id: string): Promise<number> {
  const { status, value } = await callControl(
    flags.data,
    'POST',
    `/v1/regions/${encodeURIComponent(id)}/${action}`,
  );
  if (flags.json) process.stdout.write(`${JSON.stringify(value)}\n`);
  if (status >= 300) {
    process.stderr.write(`zasov: ${(value as { error?: string }).error ?? 'refused'}\n`);
    return 1;
  }
  const { state, recorded: isRecorded } = value as RegionChange;
  const reach = isRecorded ? '' : ' on this node only, until the store is back';
  if (!flags.json) process.stdout.write(`region ${id} is ${state}${reach}\n`);
  return 0;
}
