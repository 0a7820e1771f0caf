import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type Scalar } from 'yaml';

/** Told of what a YAML node may not be. `isFatal`: what the file says can no longer be relied on. */
export type Refuse = (offset: number, message: string, found: string | undefined, isFatal: boolean) => void;

/**
 * Turns a YAML node into a plain value and refuses everything by which a file would say something else than it
 * seems to: anchors, aliases, merge keys, tags, doubled keys.
 *
 * @param lineOf the line of an offset, for "first in line 3".
 */
export function plainValue(node: unknown, refuse: Refuse, lineOf: (offset: number) => number): unknown {
  if (isAlias(node)) {
    const offset = node.range?.[0] ?? 0;
    refuse(
      offset,
      'aliases have no place in a policy; write the value out, or put text that begins with * into quotes',
      `*${node.source}`,
      false,
    );
    return undefined;
  }
  if (!isMap(node) && !isSeq(node) && !isScalar(node)) return null;
  refuseProperties(node, refuse);
  if (isSeq(node)) return node.items.map((item) => plainValue(item, refuse, lineOf));
  return isMap(node) ? plainMapping(node.items, refuse, lineOf) : node.value;
}

function refuseProperties(node: Node & { anchor?: string }, refuse: Refuse): void {
  const offset = node.range?.[0] ?? 0;
  if (node.anchor !== undefined)
    refuse(offset, 'anchors have no place in a policy; write the value out', `&${node.anchor}`, false);
  if (node.tag !== undefined) refuse(offset, 'tags have no place in a policy', node.tag, false);
}

function plainMapping(
  pairs: readonly Pair[],
  refuse: Refuse,
  lineOf: (offset: number) => number,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const seen = new Map<string, number>();
  for (const { key, value } of pairs) {
    const plain = plainValue(value, refuse, lineOf);
    const name = keyName(key);
    if (!isScalar(key) || name === undefined) {
      const offset = isMap(key) || isSeq(key) || isAlias(key) ? (key.range?.[0] ?? 0) : 0;
      refuse(offset, 'a key is a plain word', undefined, true);
      continue;
    }
    refuseProperties(key, refuse);
    if (isUsableKey(key, name, seen, refuse, lineOf)) {
      seen.set(name, key.range?.[0] ?? 0);
      result[name] = plain;
    }
  }
  return result;
}

function isUsableKey(
  key: Scalar,
  name: string,
  seen: ReadonlyMap<string, number>,
  refuse: Refuse,
  lineOf: (offset: number) => number,
): boolean {
  const offset = key.range?.[0] ?? 0;
  const first = seen.get(name);
  if (name === '<<') refuse(offset, 'merge keys have no place in a policy; write the keys out', name, true);
  else if (name === '__proto__') refuse(offset, 'no key has this name', name, false);
  else if (first !== undefined)
    refuse(offset, `key given twice, first in line ${lineOf(first)}`, name, false);
  else return true;
  return false;
}

/** A key as text; account names may look like numbers, so a scalar key counts as it is written. */
export function keyName(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  return typeof key.value === 'string' ? key.value : key.source;
}
