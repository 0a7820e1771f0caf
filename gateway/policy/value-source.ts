import type { ValueSource } from './recognition.ts';
import { type Reading, scalar } from './wording.ts';

/**
 * Where a person's name stands: `form.username`, `query.id`, `json.user.login`, `header.X-User`.
 *
 * @param kinds what may stand before the dot here.
 * @param words plain words that are possible, too.
 */
export function valueSource<const W extends string = never>(
  kinds: readonly ValueSource['from'][],
  words: readonly W[] = [],
) {
  const allowed = [...words, ...kinds.map((kind) => (kind === 'json' ? 'json.a.b' : `${kind}.NAME`))].join(
    ', ',
  );
  return scalar<ValueSource | W>({
    not: 'not a place of a value',
    allowed,
    read: (text): Reading<ValueSource | W> | undefined => {
      const plain = words.find((candidate) => candidate === text);
      if (plain !== undefined) return { value: plain };
      const dot = text.indexOf('.');
      const from = kinds.find((kind) => kind === text.slice(0, Math.max(dot, 0)));
      const name = text.slice(dot + 1);
      if (from === undefined || name === '' || /\p{Cc}/u.test(name)) return undefined;
      return { value: source(from, name) };
    },
  });
}

function source(from: ValueSource['from'], name: string): ValueSource {
  if (from === 'json') return { from, path: name.split('.') };
  return { from, name: from === 'header' ? name.toLowerCase() : name };
}
