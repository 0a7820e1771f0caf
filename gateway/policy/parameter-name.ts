/**
 * The values that an upstream may take for a parameter's. PHP reads `u` where ` u`, `u[]` or a name cut by NUL is
 * sent, and `a_b` where `a.b` is; whoever looks for `u` alone is shown one person while the upstream signs in
 * another.
 *
 * @param pairs names and values, decoded, in order.
 */
export function valuesOf<V>(pairs: Iterable<readonly [string, V]>, name: string): V[] {
  const wanted = fold(name);
  const isWhole = !wanted.includes('[');
  const values: V[] = [];
  for (const [other, value] of pairs) {
    if (other !== name) {
      const folded = fold(other);
      const bracket = isWhole ? folded.indexOf('[') : -1;
      if ((bracket === -1 ? folded : folded.slice(0, bracket)) !== wanted) continue;
    }
    values.push(value);
  }
  return values;
}

function fold(name: string): string {
  const end = name.indexOf('\0');
  const text = (end === -1 ? name : name.slice(0, end)).trimStart();
  const bracket = text.indexOf('[');
  const head = bracket === -1 ? text : text.slice(0, bracket);
  return head.replaceAll(/[. ]/g, '_') + text.slice(head.length);
}
