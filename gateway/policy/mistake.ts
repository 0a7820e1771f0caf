/** One thing that is wrong with a set of policies, and where. */
export interface Mistake {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units as editors count. */
  readonly column: number;
  /** What is wrong, beginning with the key's path. */
  readonly message: string;
  /** The offending text; left out where it could hold a secret. */
  readonly text?: string | undefined;
  /** What may stand there. */
  readonly allowed?: string | undefined;
  /** What was probably meant. */
  readonly suggestion?: string | undefined;
}

/** Where a mistake is, before it is known what it is. */
export type Place = Pick<Mistake, 'file' | 'line' | 'column'>;

/**
 * One mistake as one line for a terminal or an editor:
 * `policies/a.yaml:3:10: sessions: unknown key "grase"; did you mean "grace"? Allowed: rotate_every, grace, …`
 */
export function formatMistake(mistake: Mistake): string {
  const { file, line, column, message, text, allowed, suggestion } = mistake;
  const found = text === undefined ? '' : `: ${JSON.stringify(text)}`;
  const meant = suggestion === undefined ? '' : `; did you mean "${suggestion}"?`;
  const stop = meant === '' ? '. ' : ' ';
  const may = allowed === undefined ? '' : `${stop}Allowed: ${allowed}`;
  return visible(`${file}:${line}:${column}: ${message}${found}${meant}${may}`);
}

/** A policy's own text may hold control characters, which a terminal would obey. */
function visible(text: string): string {
  return text.replaceAll(
    /\p{Cc}/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Puts mistakes into the order in which an editor walks them, each once. */
export function inOrder(mistakes: readonly Mistake[]): Mistake[] {
  const once = new Map(mistakes.map((mistake) => [formatMistake(mistake), mistake]));
  return [...once.values()].toSorted(
    (a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column,
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
