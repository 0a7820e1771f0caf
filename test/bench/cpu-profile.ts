/** What a `.cpuprofile` holds, as far as it is read here: the format of the inspector's `Profiler.Profile`. */
export interface CpuProfile {
  /** Microseconds of the system's monotonic clock. */
  readonly startTime: number;
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds between a sample and the one before it. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}

/** Time of one function, in microseconds. */
export interface FunctionTime {
  readonly name: string;
  /** `gateway/session/rotate.ts:12`, `node:internal/…:34`, or empty for the engine's own entries. */
  readonly place: string;
  self: number;
  /** With everything that it called. */
  total: number;
}

function placeOf(node: ProfileNode, root: string): string {
  const { url, lineNumber } = node.callFrame;
  if (url === '') return '';
  return `${url.replace(/^file:\/\//, '').replace(root, '')}:${lineNumber + 1}`;
}

function selfTimes(profile: CpuProfile, fromUs: number): Map<number, number> {
  const times = new Map<number, number>();
  let nowUs = profile.startTime;
  for (const [at, id] of profile.samples.entries()) {
    const spent = profile.timeDeltas[at] ?? 0;
    nowUs += spent;
    if (nowUs >= fromUs) times.set(id, (times.get(id) ?? 0) + spent);
  }
  return times;
}

/**
 * Adds a profile up by function, from a moment of the monotonic clock (microseconds) on. Time spent idle is left out.
 * `root` is cut off the places.
 */
export function functionTimes(profile: CpuProfile, fromUs: number, root: string): FunctionTime[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const self = selfTimes(profile, fromUs);
  const functions = new Map<string, FunctionTime>();
  const visit = (id: number, above: ReadonlySet<FunctionTime>): number => {
    const node = nodes.get(id);
    if (node === undefined || node.callFrame.functionName === '(idle)') return 0;
    const place = placeOf(node, root);
    const name = node.callFrame.functionName || '(anonymous)';
    const key = `${name} ${place}`;
    const time = functions.get(key) ?? { name, place, self: 0, total: 0 };
    functions.set(key, time);
    const own = self.get(id) ?? 0;
    time.self += own;
    let total = own;
    const path = new Set(above).add(time);
    for (const child of node.children ?? []) total += visit(child, path);
    // A function that calls itself counts once.
    if (!above.has(time)) time.total += total;
    return total;
  };
  const [rootNode] = profile.nodes;
  if (rootNode !== undefined) visit(rootNode.id, new Set());
  return [...functions.values()];
}
