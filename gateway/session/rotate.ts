import type {
  Candidate,
  EndReason,
  FamilyLimits,
  FamilyState,
  FamilyTransitions,
  IssueOutcome,
  Member,
  Superseded,
  UseOutcome,
} from '../store/session-store.ts';

/** Most successors that may be issued without one being presented; a client that never adopts is a frozen copy. */
export const UNADOPTED_LIMIT = 12;
/** Most live siblings and most superseded ids; the oldest go first. */
export const MEMBER_LIMIT = 8;

/** The state of a family whose first id is handed out now. Times in ms. */
export function newFamily(nowMs: number, hash: string, endsMs: number): FamilyState {
  return {
    status: 'active',
    reason: '',
    generation: 0,
    confirmedMs: nowMs,
    seenMs: nowMs,
    endsMs,
    active: [[hash, nowMs, nowMs]],
    candidates: [],
    previous: [],
    unadopted: 0,
    regressed: false,
  };
}

/** Shortest time between two successors of one id, in ms: a burst of parallel requests makes one fork, not twenty. */
export function reissueGapMs(limits: FamilyLimits): number {
  return limits.graceMs / 4;
}

/**
 * The rules of rotation, as pure functions of one family's state (RFC 9700 section 4.14.2 reuse detection with
 * confirm-on-use; OWASP Session Management Cheat Sheet "Renewal Timeout").
 *
 * - The current id stays valid until a successor of it is *presented*, so a lost answer costs nothing.
 * - Every successor is a different random id. Handing one successor to all holders of the old id would keep a thief
 *   who polls along in step for ever.
 * - Late answers may overwrite each other in one browser's jar, so siblings are accepted too, until two of them are
 *   presented more than `grace` apart from each other: one jar cannot do that, two jars cannot avoid it.
 * - `grace` bounds twice the one-way delay between client and gateway: in-flight requests carry a superseded id for
 *   that long. An older ancestor is never accepted.
 *
 * Time never runs backwards within a family, whatever the machine's clock does.
 */
export const familyTransitions: FamilyTransitions = { use, issue, end, expired };

function use(
  state: FamilyState,
  nowMs: number,
  hash: string,
  passive: boolean,
  limits: FamilyLimits,
): [UseOutcome, FamilyState] {
  if (state.status !== 'active') return ['dead', state];
  const now = monotone(state, nowMs);
  const over = expired(state, now, limits);
  if (over !== undefined) return [over === 'idle' ? 'expired_idle' : 'expired_lifetime', end(state, over)];
  const [outcome, next] = useLive(state, now, hash, limits);
  // Whoever is refused was not at work.
  return next.status === 'dead' || passive ? [outcome, next] : [outcome, { ...next, seenMs: now }];
}

function useLive(
  state: FamilyState,
  now: number,
  hash: string,
  limits: FamilyLimits,
): [UseOutcome, FamilyState] {
  if (isActive(state, hash)) return useActive(state, now, hash, limits);
  const candidate = state.candidates.find((entry) => entry[0] === hash);
  if (candidate !== undefined) return useCandidate(state, now, candidate, limits);
  return useSuperseded(state, now, hash, limits);
}

function useActive(
  state: FamilyState,
  now: number,
  hash: string,
  limits: FamilyLimits,
): [UseOutcome, FamilyState] {
  const active = state.active.map((member): Member => (member[0] === hash ? [hash, member[1], now] : member));
  const used = active.find((member) => member[0] === hash);
  const forked = active.some(
    (other) => used !== undefined && other !== used && interleave(other, used, limits.graceMs),
  );
  if (forked) return ['fork', end(state, 'fork')];
  // Siblings that nobody adopted die as soon as a member is presented after their delivery window; kept, they would
  // be spare keys for a thief. The window starts with the confirmation, not with their issue: one may have waited in
  // the jar for long, be overwritten there by the id that was confirmed, and still be on its way in a request.
  const isOpen = now - state.confirmedMs <= limits.graceMs;
  const candidates = isOpen
    ? state.candidates
    : state.candidates.filter((entry) => isActive(state, entry[2]));
  const previous = stillKnown(state, now, limits);
  const outcome = now - state.confirmedMs >= limits.rotateEveryMs ? 'ok_due' : 'ok';
  return [outcome, { ...state, active, candidates, previous }];
}

/** Whether each of two ids was presented more than `grace` after the other had appeared: two jars are in use. */
function interleave(one: Member, other: Member, graceMs: number): boolean {
  return one[2] > other[1] + graceMs && other[2] > one[1] + graceMs;
}

function useCandidate(
  state: FamilyState,
  now: number,
  candidate: Candidate,
  limits: FamilyLimits,
): [UseOutcome, FamilyState] {
  const [hash, , parent] = candidate;
  const adopted: Member = [hash, now, now];
  const others = state.candidates.filter((entry) => entry !== candidate);
  if (!isActive(state, parent)) {
    // A late answer put a sibling over the successor that the jar already held; or a fork takes its first step.
    const active = [...state.active, adopted].slice(-MEMBER_LIMIT);
    const previous = stillKnown(state, now, limits);
    return ['ok_sibling', { ...state, active, candidates: others, previous, unadopted: 0 }];
  }
  const superseded = state.active.map((member): Superseded => [member[0], now]);
  const inFlight = state.previous.filter((entry) => now - entry[1] <= limits.graceMs);
  return [
    'ok_confirm',
    {
      ...state,
      generation: state.generation + 1,
      confirmedMs: now,
      active: [adopted],
      // All of them, also children of a sibling: any may be the last that reaches the jar.
      candidates: others,
      previous: [...superseded, ...inFlight].slice(0, MEMBER_LIMIT),
      unadopted: 0,
    },
  ];
}

function useSuperseded(
  state: FamilyState,
  now: number,
  hash: string,
  limits: FamilyLimits,
): [UseOutcome, FamilyState] {
  const previous = stillKnown(state, now, limits);
  const entry = previous.find((known) => known[0] === hash);
  if (entry === undefined) return ['reuse', end(state, 'reuse')];
  if (now - entry[1] <= limits.graceMs) return ['ok_inflight', { ...state, previous }];
  const silent = state.active.every((member) => now - member[2] > limits.graceMs);
  if (!silent) return ['reuse', end(state, 'reuse')];
  // A browser that was killed came back with the jar of half a minute ago. The newer id is given up in exchange:
  // whoever presents it now is the second holder.
  const active: Member[] = [[hash, now, now]];
  return ['ok_regress', { ...state, active, candidates: [], previous: [], unadopted: 0, regressed: true }];
}

/** Superseded ids that still mean something: in flight, or the direct parent that one crash may bring back. */
function stillKnown(state: FamilyState, now: number, limits: FamilyLimits): readonly Superseded[] {
  const forgiving = limits.crashGrace && !state.regressed;
  return state.previous.filter(
    (entry) => now - entry[1] <= limits.graceMs || (forgiving && entry[1] === state.confirmedMs),
  );
}

/**
 * Whether the sole active id may be accepted for a while without asking for a transition: no sibling is waiting
 * whose fate the next use decides.
 */
export function isSettled(state: FamilyState): boolean {
  return state.active.length === 1 && state.candidates.every((entry) => isActive(state, entry[2]));
}

/** Called when an answer's head is written, not when its request came: the upstream may have taken minutes. */
function issue(
  state: FamilyState,
  nowMs: number,
  hash: string,
  childHash: string,
  limits: FamilyLimits,
): [IssueOutcome, FamilyState] {
  const now = monotone(state, nowMs);
  if (state.status !== 'active' || expired(state, now, limits) !== undefined) return ['no', state];
  if (now - state.confirmedMs < limits.rotateEveryMs || !isActive(state, hash)) return ['no', state];
  const gapMs = reissueGapMs(limits);
  if (state.candidates.some((entry) => entry[2] === hash && now - entry[1] < gapMs)) return ['no', state];
  if (state.unadopted + 1 > UNADOPTED_LIMIT) return ['stubborn', end(state, 'stubborn')];
  const child: Candidate = [childHash, now, hash];
  // As many are kept as may be issued unadopted: with fewer, a browser that was delivered one and then lost eight
  // later answers would present an id that was forgotten, and look like a thief.
  const candidates = [...state.candidates, child].slice(-UNADOPTED_LIMIT);
  return ['set', { ...state, candidates, unadopted: state.unadopted + 1 }];
}

function end(state: FamilyState, reason: EndReason): FamilyState {
  return { ...state, status: 'dead', reason, active: [], candidates: [], previous: [] };
}

function expired(
  state: FamilyState,
  nowMs: number,
  limits: Pick<FamilyLimits, 'idleMs'>,
): 'lifetime' | 'idle' | undefined {
  const now = monotone(state, nowMs);
  if (now >= state.endsMs) return 'lifetime';
  return now - state.seenMs >= limits.idleMs ? 'idle' : undefined;
}

function isActive(state: FamilyState, hash: string): boolean {
  return state.active.some((member) => member[0] === hash);
}

/** The family's own time: never before anything that it has recorded. */
function monotone(state: FamilyState, nowMs: number): number {
  let latest = Math.max(nowMs, state.seenMs, state.confirmedMs);
  for (const member of state.active) latest = Math.max(latest, member[2]);
  for (const candidate of state.candidates) latest = Math.max(latest, candidate[1]);
  return latest;
}

/**
 * Grades a reused id (`reuse`): the direct predecessor in an unchanged client is what a browser leaves behind when
 * it is killed before it wrote its jar, so that is only information; everything else is theft.
 *
 * @param tokenGeneration the generation that the presented id was issued for.
 */
export function reuseKind(
  tokenGeneration: number,
  state: FamilyState,
  sameContext: boolean,
): 'reuse' | 'crash_regress' {
  return sameContext && tokenGeneration === state.generation - 1 ? 'crash_regress' : 'reuse';
}
