/** What a glob's `*` stands for: anything within a path segment, or anything at all. */
export type GlobKind = 'path' | 'text';

/** One step of a glob as an automaton. */
type Token =
  /** This character. */
  | { readonly kind: 'letter'; readonly letter: string }
  /** Any run of characters but "/". */
  | { readonly kind: 'segment' }
  /** Any run of characters. */
  | { readonly kind: 'anything' }
  /** `** /` in the middle of a path: nothing, or any run of characters that ends with "/". */
  | { readonly kind: 'folders' };

/** Beyond this many states the answer is "not covered", which only means that a mistake goes unnoticed. */
const MOST_STATES = 20_000;
/** Stands for every character that is in neither glob. */
const OTHER = '\0';

/**
 * Whether every text that the narrow glob matches is matched by the wide one: exact, by walking the automata of both
 * side by side. The wide one is walked as the set of all places in which it can be.
 */
export function globCovers(wide: string, narrow: string, kind: GlobKind): boolean {
  if (wide === narrow) return true;
  const wideTokens = tokens(wide, kind);
  const narrowTokens = tokens(narrow, kind);
  const letters = new Set([...lettersOf(wideTokens), ...lettersOf(narrowTokens), '/', OTHER]);
  const start: State = [close(narrowTokens, [0]), close(wideTokens, [0])];
  const seen = new Set([keyOf(start)]);
  const open = [start];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const [narrowPlaces, widePlaces] = state;
    if (narrowPlaces.includes(narrowTokens.length) && !widePlaces.includes(wideTokens.length)) return false;
    for (const letter of letters) {
      const next: State = [step(narrowTokens, narrowPlaces, letter), step(wideTokens, widePlaces, letter)];
      if (next[0].length === 0 || seen.has(keyOf(next))) continue;
      if (seen.size >= MOST_STATES) return false;
      seen.add(keyOf(next));
      open.push(next);
    }
  }
  return true;
}

/** Places in both automata. */
type State = readonly [narrow: readonly number[], wide: readonly number[]];

function keyOf([narrow, wide]: State): string {
  return `${narrow.join(',')}|${wide.join(',')}`;
}

function tokens(glob: string, kind: GlobKind): Token[] {
  const result: Token[] = [];
  const pieces = kind === 'text' ? glob.split(/(\*)/) : glob.split(/(\*\*\/|\*\*|\*)/);
  for (const piece of pieces) {
    if (piece === '**/') result.push({ kind: 'folders' });
    else if (piece === '**') result.push({ kind: 'anything' });
    else if (piece === '*') result.push({ kind: kind === 'path' ? 'segment' : 'anything' });
    else for (const letter of piece) result.push({ kind: 'letter', letter });
  }
  return result;
}

function* lettersOf(list: readonly Token[]): Generator<string> {
  for (const token of list) if (token.kind === 'letter') yield token.letter;
}

/**
 * Adds the places that are reached without a character. A place is a token's index, and `-index - 1` stands for the
 * inside of a `folders` token, which is left by "/" only.
 */
function close(list: readonly Token[], places: readonly number[]): number[] {
  const reached = new Set<number>();
  const open = [...places];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    if (reached.has(place)) continue;
    reached.add(place);
    const token = list[place];
    if (token === undefined || token.kind === 'letter') continue;
    open.push(place + 1);
    if (token.kind === 'folders') open.push(-place - 1);
  }
  return [...reached].toSorted((a, b) => a - b);
}

function step(list: readonly Token[], places: readonly number[], letter: string): number[] {
  const next: number[] = [];
  for (const place of places) {
    if (place < 0) {
      next.push(place);
      if (letter === '/') next.push(-place);
      continue;
    }
    const token = list[place];
    if (token?.kind === 'anything' || (token?.kind === 'segment' && letter !== '/')) next.push(place);
    else if (token?.kind === 'letter' && token.letter === letter) next.push(place + 1);
  }
  return close(list, next);
}
