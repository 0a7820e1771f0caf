/**
 * What a request, an idle connection and a session cost, side by side with what others would cost. See `usage`.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { CpuOutcome } from './cpu-rounds.ts';
import { cpuRounds } from './cpu-rounds.ts';
import type { HandshakeFigures } from './handshake-rounds.ts';
import { handshakesOf } from './handshake-rounds.ts';
import type { MemoryFigures } from './memory-rounds.ts';
import { memoryOf } from './memory-rounds.ts';
import { auditRounds } from './audit-rounds.ts';
import { microRounds } from './micro-rounds.ts';
import { canMeter } from './process-meter.ts';
import type { Report } from './report.ts';
import { formatReport, makeReport } from './report.ts';
import { startSurroundings } from './surroundings.ts';
import type { Surroundings, Target } from './target.ts';
import { targets } from './target.ts';

const usage = `npm run bench -- [options]

  --quick            fewer rounds and requests: a rough figure in under a minute
  --rounds N         rounds (9)
  --requests N       measured requests per round and target (10000)
  --warmup N         requests before the first round (20000)
  --concurrency N    requests in flight (32)
  --only TEXT        only targets whose name holds the text; may be repeated
  --no-cpu           without the CPU rounds
  --no-memory        without the memory rounds
  --no-micro         without the session service by itself
  --no-handshakes    without the TLS handshakes
  --json FILE        writes the figures
  --assert           exits 1 when a target of the gateway is missed

CPU is user and system time of the target's processes as the operating system counts it, divided by the requests.
`;

type Options = ReturnType<typeof parse>;

function readOptions(): Options {
  try {
    return parse();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return process.exit(2);
  }
}

function parse() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      requests: { type: 'string' },
      warmup: { type: 'string' },
      concurrency: { type: 'string' },
      only: { type: 'string', multiple: true },
      memory: { type: 'boolean', default: true },
      micro: { type: 'boolean', default: true },
      cpu: { type: 'boolean', default: true },
      handshakes: { type: 'boolean', default: true },
      json: { type: 'string' },
      assert: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
    allowNegative: true,
  });
  const count = (text: string | undefined, normal: number): number => {
    const value = text === undefined ? normal : Number(text);
    if (!Number.isInteger(value) || value < 1) throw new Error(`"${text}" is not a positive number`);
    return value;
  };
  const { quick } = values;
  const effort = {
    rounds: count(values.rounds, quick ? 3 : 9),
    requests: count(values.requests, quick ? 5000 : 10_000),
    warmupRequests: count(values.warmup, quick ? 10_000 : 20_000),
    concurrency: count(values.concurrency, 32),
  };
  const memoryEffort = quick
    ? { warmupRequests: 1000, connections: 300, sessions: 1000 }
    : { warmupRequests: 2000, connections: 1000, sessions: 4000 };
  const handshakeEffort = quick ? { rounds: 3, handshakes: 200 } : { rounds: 7, handshakes: 500 };
  return { ...values, effort, memoryEffort, handshakeEffort };
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

async function weighAll(list: readonly Target[], around: Surroundings, { memoryEffort }: Options) {
  const memory: MemoryFigures[] = [];
  for (const target of list) {
    progress(`memory of ${target.name}`);
    memory.push(await memoryOf(target, around, memoryEffort));
  }
  return memory;
}

async function shakeAll(list: readonly Target[], around: Surroundings, { handshakeEffort }: Options) {
  const handshakes: HandshakeFigures[] = [];
  for (const target of list) {
    if (target.protocol !== 'h1') continue;
    for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
      progress(`handshakes of ${target.name}`);
      handshakes.push(await handshakesOf(target, around, handshakeEffort, version));
    }
  }
  return handshakes;
}

async function measureAll(options: Options): Promise<Report> {
  const wanted = (name: string): boolean => options.only?.some((text) => name.includes(text)) ?? true;
  const list = targets().filter((target) => wanted(target.name));
  const around = await startSurroundings();
  let cpu: CpuOutcome = { figures: [], failures: [] };
  if (options.cpu) cpu = await cpuRounds(list, around, options.effort, progress);
  const alive = list.filter(
    ({ name, weighed }) => weighed && !cpu.failures.some((each) => each.name === name),
  );
  const memory = options.memory ? await weighAll(alive, around, options) : [];
  const handshakes = options.handshakes ? await shakeAll(alive, around, options) : [];
  progress(options.micro ? 'the session service by itself' : '');
  const micro = options.micro ? [...(await microRounds()), ...(await auditRounds())] : [];
  progress('');
  return makeReport(list, { cpu, memory, micro, handshakes });
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  if (!canMeter()) {
    process.stderr.write('The bench reads /proc, which only Linux has.\n');
    process.exit(1);
  }
  const report = await measureAll(options);
  process.stdout.write(formatReport(report));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  const missed = report.failures.length > 0 || report.judgements.some(({ holds }) => !holds);
  process.exit(options.assert && missed ? 1 : 0);
}

await main();
