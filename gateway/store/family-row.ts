import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { Candidate, EndReason, Member, StoredFamily, Superseded } from './session-store.ts';

/** A row of SQLite: a column's value by its name. */
export type Row = Record<string, SQLOutputValue>;

/** The columns that a transition changes, in the order of {@link stateValues}. */
export const STATE_COLUMNS =
  'alive, reason, generation, confirmed_ms, seen_ms, ends_ms, unadopted, regressed, ids';

/** The values of {@link STATE_COLUMNS}. The three lists of ids share one JSON text: they are read and written whole. */
export function stateValues(state: StoredFamily['state']): SQLInputValue[] {
  return [
    state.status === 'active' ? 1 : 0,
    state.reason,
    state.generation,
    state.confirmedMs,
    state.seenMs,
    state.endsMs,
    state.unadopted,
    state.regressed ? 1 : 0,
    JSON.stringify([state.active, state.candidates, state.previous]),
  ];
}

/**
 * Reads a family from a row of `families` joined with its jar.
 *
 * @throws SyntaxError when the lists of ids are damaged.
 */
export function familyOf(row: Row): StoredFamily {
  const [active, candidates, previous] = JSON.parse(String(row['ids'])) as [
    Member[],
    Candidate[],
    Superseded[],
  ];
  return {
    id: String(row['id']),
    state: {
      status: row['alive'] === 1 ? 'active' : 'dead',
      reason: String(row['reason']) as EndReason | '',
      generation: Number(row['generation']),
      confirmedMs: Number(row['confirmed_ms']),
      seenMs: Number(row['seen_ms']),
      endsMs: Number(row['ends_ms']),
      active,
      candidates,
      previous,
      unadopted: Number(row['unadopted']),
      regressed: row['regressed'] === 1,
    },
    person: typeof row['person'] === 'string' ? row['person'] : undefined,
    createdMs: Number(row['created_ms']),
    profile: row['profile'] instanceof Uint8Array ? row['profile'] : new Uint8Array(),
    jar: row['sealed'] instanceof Uint8Array ? row['sealed'] : undefined,
    jarVersion: Number(row['version'] ?? 0),
  };
}
