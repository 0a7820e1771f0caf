/**
 * The specification's pseudo-code (sessions.md 1.4), kept as it is written there: short names, arrays, strings.
 * The gateway's own transitions were written apart from it, and a differential test holds the two together.
 * Three rules differ from the page, because property 49 does not hold without them: K candidates are kept, not M;
 * unadopted siblings live for G after the confirmation, not after their own issue; and a confirmation keeps the
 * candidates of all members, not only of the parent.
 */
interface Params {
  readonly R: number;
  readonly G: number;
  readonly GRE: number;
  readonly K: number;
  readonly M: number;
  readonly IDLE: number;
}
type Entry3 = readonly [string, number, number];
type Cand = readonly [string, number, string];
type Prev = readonly [string, number];
export interface ReferenceState {
  readonly st: 'active' | 'dead';
  readonly why: string;
  readonly gen: number;
  readonly tcur: number;
  readonly seen: number;
  readonly abs: number;
  readonly act: readonly Entry3[];
  readonly cand: readonly Cand[];
  readonly prev: readonly Prev[];
  readonly stub: number;
}

export function create(now: number, h0: string, abs: number): ReferenceState {
  return {
    st: 'active',
    why: '',
    gen: 0,
    tcur: now,
    seen: now,
    abs,
    act: [[h0, now, now]],
    cand: [],
    prev: [],
    stub: 0,
  };
}

const end = (s: ReferenceState, why: string): ReferenceState => ({
  ...s,
  st: 'dead',
  why,
  act: [],
  cand: [],
  prev: [],
});

export function use(s: ReferenceState, at: number, h: string, p: Params): [string, ReferenceState] {
  const now = Math.max(at, s.seen);
  if (s.st !== 'active') return [`DEAD:${s.why}`, s];
  if (now >= s.abs) return ['EXPIRED_ABS', end(s, 'abs')];
  if (now - s.seen >= p.IDLE) return ['EXPIRED_IDLE', end(s, 'idle')];
  const prev = s.prev.filter((e) => now - e[1] <= p.G);
  const isAct = (x: string): boolean => s.act.some((a) => a[0] === x);
  if (isAct(h)) return useActive(s, now, h, prev, isAct, p);
  const c = s.cand.find((e) => e[0] === h);
  if (c !== undefined && isAct(c[2])) {
    const np = [...s.act.map((a): Prev => [a[0], now]), ...prev].slice(0, p.M);
    const cand = s.cand.filter((x) => x[0] !== h);
    return [
      'OK_CONFIRM',
      { ...s, gen: s.gen + 1, tcur: now, seen: now, act: [[h, now, now]], cand, prev: np, stub: 0 },
    ];
  }
  if (c !== undefined) {
    const act = [...s.act, [h, now, now] as const].slice(-p.M);
    return ['OK_SIBLING', { ...s, seen: now, act, cand: s.cand.filter((x) => x[0] !== h), prev, stub: 0 }];
  }
  if (prev.some((e) => e[0] === h)) return ['OK_INFLIGHT', { ...s, seen: now, prev }];
  return ['REUSE', end(s, 'reuse')];
}

function useActive(
  s: ReferenceState,
  now: number,
  h: string,
  prev: readonly Prev[],
  isAct: (x: string) => boolean,
  p: Params,
): [string, ReferenceState] {
  const act = s.act.map((a): Entry3 => (a[0] === h ? [h, a[1], now] : a));
  const v = act.find((a) => a[0] === h) ?? [h, now, now];
  for (const u of act) {
    if (u !== v && u[2] > v[1] + p.G && v[2] > u[1] + p.G) return ['REUSE', end(s, 'fork')];
  }
  const cand = s.cand.filter((c) => isAct(c[2]) || now - s.tcur <= p.G);
  return [now - s.tcur >= p.R ? 'OK_DUE' : 'OK', { ...s, seen: now, act, cand, prev }];
}

export function issue(
  s: ReferenceState,
  at: number,
  h: string,
  nh: string,
  p: Params,
): [string, ReferenceState] {
  const now = Math.max(at, s.seen);
  if (s.st !== 'active' || now - s.tcur < p.R || !s.act.some((a) => a[0] === h)) return ['NO', s];
  if (s.cand.some((c) => c[2] === h && now - c[1] < p.GRE)) return ['NO', s];
  if (s.stub + 1 > p.K) return ['STUBBORN', end(s, 'stubborn')];
  return ['SET', { ...s, cand: [...s.cand, [nh, now, h] as const].slice(-p.K), stub: s.stub + 1 }];
}
