/** Longer words are no typing mistakes of a key, and comparing them costs time. */
const LONGEST = 40;

/**
 * Finds the word that was probably meant, by Damerau–Levenshtein distance: one edit for short words, up to a third
 * of the letters for long ones.
 *
 * @returns `undefined` when none is near.
 */
export function didYouMean(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > LONGEST) return undefined;
  const plain = normalise(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain, normalise(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `rotateEvery` and `rotate-every` are as good as `rotate_every`. */
function normalise(word: string): string {
  return word.replaceAll(/[_\- ]/g, '').toLowerCase();
}

/** Edits between two words: insert, delete, replace, swap neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const edit = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + cost);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(isSwap ? Math.min(edit, at(i - 2, j - 2) + 1) : edit);
    }
  }
  return at(a.length, b.length);
}
