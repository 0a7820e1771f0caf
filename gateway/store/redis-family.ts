import type { Parameter } from './redis-connection.ts';
import type {
  Candidate,
  EndReason,
  FamilyLimits,
  FamilyState,
  Member,
  StoredFamily,
  Superseded,
} from './session-store.ts';

/** What family.lua says of a family. */
export interface FamilyAnswer {
  readonly outcome: string;
  readonly family: StoredFamily;
  /** The person's epoch that the family counts from. */
  readonly epoch: number;
}

/** Fields of a new family's hash, as create takes them. `ends` is a parameter of its own. */
export function familyFields({
  state,
  person,
  createdMs,
  profile,
  jar,
  jarVersion,
}: StoredFamily): Parameter[] {
  const fields: Record<string, Parameter | undefined> = {
    alive: state.status === 'active' ? 1 : 0,
    reason: state.reason,
    generation: state.generation,
    confirmed: state.confirmedMs,
    seen: state.seenMs,
    unadopted: state.unadopted,
    regressed: state.regressed ? 1 : 0,
    ids: JSON.stringify([state.active, state.candidates, state.previous]),
    created: createdMs,
    version: jarVersion,
    profile,
    person,
    jar,
  };
  return Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
}

/** Limits as family.lua takes them. `adoptBeforeMs`: the newest confirmation of a family that takes an unknown id
 * for one that a failover lost (server's clock, ms); 0 takes none. */
export function limitFields(limits: FamilyLimits, adoptBeforeMs: number): Parameter[] {
  const { rotateEveryMs, graceMs, idleMs, crashGrace } = limits;
  return [rotateEveryMs, graceMs, idleMs, crashGrace ? 1 : 0, adoptBeforeMs];
}

/** Reads an answer of family.lua. */
export function readAnswer(id: string, reply: unknown): FamilyAnswer | undefined {
  if (!Array.isArray(reply)) return undefined;
  const cells = reply as (Buffer | null)[];
  const text = (place: number): string => cells[place]?.toString() ?? '';
  const number = (place: number): number => Number(text(place));
  const person = text(10);
  return {
    outcome: text(0),
    epoch: number(15),
    family: {
      id,
      state: stateOf(text, number),
      person: person === '' ? undefined : person,
      createdMs: number(11),
      profile: cells[12] ?? new Uint8Array(),
      jar: cells[13] ?? undefined,
      jarVersion: number(14),
    },
  };
}

function stateOf(text: (place: number) => string, number: (place: number) => number): FamilyState {
  const [active, candidates, previous] = JSON.parse(text(9)) as [Member[], Candidate[], Superseded[]];
  return {
    status: text(1) === '1' ? 'active' : 'dead',
    reason: text(2) as EndReason | '',
    generation: number(3),
    confirmedMs: number(4),
    seenMs: number(5),
    endsMs: number(6),
    active,
    candidates,
    previous,
    unadopted: number(7),
    regressed: text(8) === '1',
  };
}

/** What a family is once it has ended. */
export function endedFamily(family: StoredFamily, reason: EndReason): StoredFamily {
  const ended = { status: 'dead', reason, active: [], candidates: [], previous: [] } as const;
  return { ...family, state: { ...family.state, ...ended } };
}
