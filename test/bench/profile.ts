/**
 * Where the gateway spends its time: starts a target under Node's CPU profiler, loads it as the bench does, and prints
 * the functions that cost most. See `usage`.
 */
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { scratch } from './children.ts';
import type { CpuProfile, FunctionTime } from './cpu-profile.ts';
import { functionTimes } from './cpu-profile.ts';
import { LoadDriver } from './load-driver.ts';
import { startSurroundings } from './surroundings.ts';
import { table } from './table.ts';
import type { Target } from './target.ts';
import { publicPort, targets } from './target.ts';

const usage = `node test/bench/profile.ts [options]

  --target NAME      a target of the bench ("zasov h1", "zasov h2", "bare https+undici"; default "zasov h1")
  --requests N       requests (40000)
  --top N            functions shown (40)
  --keep DIR         keeps the .cpuprofile there, for Chrome DevTools
`;

/** The engine names a regular expression by its whole text. */
const NAME_CHARACTERS = 100;
const root = fileURLToPath(new URL('../../', import.meta.url));

interface Options {
  readonly target: string;
  readonly requests: number;
  readonly top: number;
  readonly directory: string;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      target: { type: 'string', default: 'zasov h1' },
      requests: { type: 'string', default: '40000' },
      top: { type: 'string', default: '40' },
      keep: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const directory = resolve(values.keep ?? join(scratch, 'profile'));
  return {
    target: values.target,
    requests: Number(values.requests),
    top: Number(values.top),
    directory,
  };
}

interface Recording {
  readonly profile: CpuProfile;
  /** When the warm-up was over. */
  readonly fromUs: number;
}

async function record(target: Target, requests: number, directory: string): Promise<Recording> {
  mkdirSync(directory, { recursive: true });
  const before = new Set(readdirSync(directory));
  const around = await startSurroundings();
  const child = await target.start(around);
  const load = new LoadDriver(target.protocol, publicPort(child), around.expected);
  await load.order({ kind: 'sign-in', connections: target.protocol === 'h2' ? 8 : 32 });
  await load.order({ kind: 'fetch', requests: 10_000, concurrency: 32 });
  const fromUs = Number(process.hrtime.bigint() / 1000n);
  await load.order({ kind: 'fetch', requests, concurrency: 32 });
  await load.stop();
  // The profile is written when the process leaves of its own accord, after its drain.
  await child.stop(40_000);
  const file = readdirSync(directory).find((name) => name.endsWith('.cpuprofile') && !before.has(name));
  if (file === undefined) throw new Error(`no profile was written:\n${child.complaints()}`);
  return { profile: JSON.parse(readFileSync(join(directory, file), 'utf8')) as CpuProfile, fromUs };
}

function group(place: string): string {
  // Files that stand in gateway/ itself are its composition.
  if (place.startsWith('gateway/')) return place.slice(0, place.lastIndexOf('/'));
  const dependency = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(place)?.[1];
  if (dependency !== undefined) return dependency;
  if (place.startsWith('node:')) return 'node';
  return place === '' ? 'engine' : 'other';
}

function groupRows(times: readonly FunctionTime[], show: (us: number) => string): string[][] {
  const groups = new Map<string, number>();
  for (const { place, self } of times) groups.set(group(place), (groups.get(group(place)) ?? 0) + self);
  const sorted = [...groups].filter(([, us]) => us > 0).toSorted(([, a], [, b]) => b - a);
  return sorted.map(([name, self]) => [name, show(self)]);
}

async function main(): Promise<void> {
  const options = readOptions();
  const nodeOptions = ['--cpu-prof', `--cpu-prof-dir=${options.directory}`, '--cpu-prof-interval=200'];
  const target = targets(nodeOptions).find(({ name }) => name === options.target);
  if (target === undefined) throw new Error(`no target "${options.target}" here`);
  const { profile, fromUs } = await record(target, options.requests, options.directory);
  const times = functionTimes(profile, fromUs, root);
  const perRequest = (us: number): string => (us / options.requests).toFixed(2);
  const rows = (list: readonly FunctionTime[]): string[][] =>
    list
      .slice(0, options.top)
      .map(({ name, place, self, total }) => [
        `${name} ${place}`.trim().slice(0, NAME_CHARACTERS),
        perRequest(self),
        perRequest(total),
      ]);
  const bySelf = times.toSorted((a, b) => b.self - a.self);
  const ours = times.filter(({ place }) => place.startsWith('gateway/'));
  const head = ['us per request, main thread', 'self', 'total'];
  const parts = [
    table([['us per request', 'self'], ...groupRows(times, perRequest)]),
    table([head, ...rows(bySelf)]),
  ];
  if (ours.length > 0) {
    const byTotal = ours.toSorted((a, b) => b.total - a.total);
    parts.push(table([['the gateway\u2019s own, by total', 'self', 'total'], ...rows(byTotal)]));
  }
  process.stdout.write(`${parts.join('\n\n')}\n`);
  process.exit(0);
}

await main();
