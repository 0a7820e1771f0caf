import { existsSync, readFileSync, readdirSync } from 'node:fs';

/** Whether this machine can say what a process used; only Linux's /proc can. */
export function canMeter(): boolean {
  return existsSync('/proc/self/task');
}

function parentOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command in parentheses may hold blanks; fields are counted after it.
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

/** A process and everything that it started, so that nginx's worker counts with its master. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (Number.isInteger(pid)) parents.set(pid, parentOf(pid));
  }
  const tree = [root];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  return tree;
}

function threadNanoseconds(path: string): number {
  try {
    return Number(readFileSync(path, 'latin1').split(' ')[0]);
  } catch {
    return 0;
  }
}

function processMicroseconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  if (existsSync(`/proc/${pid}/schedstat`)) {
    let nanoseconds = 0;
    for (const thread of threads) nanoseconds += threadNanoseconds(`/proc/${pid}/task/${thread}/schedstat`);
    return nanoseconds / 1000;
  }
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/**
 * CPU time, user and system, that the processes have used so far, all threads, in microseconds. Read from the
 * scheduler's own account (nanoseconds) where the kernel keeps one, else from utime and stime (10 ms ticks).
 */
export function cpuMicroseconds(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) sum += processMicroseconds(pid);
  return sum;
}

/** Resident memory of the processes together, in bytes; pages that they share count for each. */
export function residentBytes(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    sum += Number(kibibytes?.[1] ?? 0) * 1024;
  }
  return sum;
}

/** The most memory that a process has ever had resident, in bytes; 0 for one that is gone. */
export function peakBytes(pid: number): number {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return Number(kibibytes?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Numbers of the processors that this process may use. */
export function allowedProcessors(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}
