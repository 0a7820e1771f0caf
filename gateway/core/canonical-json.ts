/** A value that JSON can hold. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined };

/**
 * Writes a value in the one form of RFC 8785 (JSON Canonicalization Scheme), so that whoever hashes or signs it gets
 * the same bytes: no white space, members sorted by UTF-16 code units, numbers and texts as ECMAScript writes them.
 * Members that are `undefined` are left out.
 *
 * @throws RangeError for what has no such form: a number that is not finite, a lone surrogate (RFC 8785 3.2.2.2).
 */
export function canonicalJson(value: JsonValue): string {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new RangeError('a text with a lone surrogate has no canonical form');
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new RangeError(`${value} has no canonical form`);
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    default:
      return value === null ? 'null' : canonicalObject(value);
  }
}

function canonicalObject(value: readonly JsonValue[] | { readonly [name: string]: JsonValue | undefined }) {
  if (isList(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  const members: string[] = [];
  // The default order of sort() is that of UTF-16 code units, which RFC 8785 section 3.2.3 wants.
  for (const name of Object.keys(value).toSorted()) {
    const member = value[name];
    if (member !== undefined) members.push(`${canonicalJson(name)}:${canonicalJson(member)}`);
  }
  return `{${members.join(',')}}`;
}

function isList(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}
