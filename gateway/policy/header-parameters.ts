/** A header value of the form `text/plain; name=value; name="value"` (RFC 9110 section 5.6.6). */
export interface ParameterisedValue {
  /** What stands before the first semicolon, in lower case. */
  readonly value: string;
  /** Parameters by lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
}

const VALUE = /^\s*([^;\s]+)\s*/;
const PARAMETER = /;\s*(?:([!#$%&'*+.^_`|~A-Za-z0-9-]+)=(?:"([^"]*)"|([^\s;"]*)))?\s*/y;

/**
 * Takes such a value apart. Refuses what parsers read in different ways: a parameter given twice, an escaped quote
 * (browsers write `%22`, RFC 9110 writes `\"`), anything left over.
 *
 * @returns `undefined` when the value is malformed.
 */
export function parseHeaderParameters(text: string): ParameterisedValue | undefined {
  const head = VALUE.exec(text);
  if (head?.[1] === undefined) return undefined;
  const parameters = new Map<string, string>();
  PARAMETER.lastIndex = head[0].length;
  let end = head[0].length;
  while (end < text.length) {
    const match = PARAMETER.exec(text);
    if (match === null) return undefined;
    end = PARAMETER.lastIndex;
    const name = match[1]?.toLowerCase();
    if (name === undefined) continue;
    const value = match[2] ?? match[3] ?? '';
    if (parameters.has(name) || value.endsWith('\\')) return undefined;
    parameters.set(name, value);
  }
  return { value: head[1].toLowerCase(), parameters };
}
