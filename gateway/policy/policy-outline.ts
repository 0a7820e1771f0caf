import { hash } from 'node:crypto';

import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';

/** What a set of policies looks like from outside: enough to say what changed, and nothing of what it says. */
export interface PolicyOutline {
  /** SHA-256 over names and texts of the files, hexadecimal. */
  readonly hash: string;
  /** Hashes of its parts by name: `sessions.idle`, `routes.app`, `workers`. */
  readonly parts: ReadonlyMap<string, string>;
}

/** Outlines the plain value of a set of policies, as it was written. */
export function outlinePolicy(value: Readonly<Record<string, unknown>>, textHash: string): PolicyOutline {
  const parts = new Map<string, string>();
  for (const [name, part] of Object.entries(value)) {
    const inside = partsOf(part);
    if (inside === undefined) parts.set(name, digest(part));
    else for (const [inner, each] of inside) parts.set(`${name}.${inner}`, digest(each));
  }
  return { hash: textHash, parts };
}

/** Names of parts that are new, gone or different, in order of name. */
export function changedParts(before: PolicyOutline, after: PolicyOutline): string[] {
  const names = new Set([...before.parts.keys(), ...after.parts.keys()]);
  return [...names]
    .filter((name) => before.parts.get(name) !== after.parts.get(name))
    .toSorted((one, other) => (one < other ? -1 : 1));
}

function partsOf(part: unknown): (readonly [string, unknown])[] | undefined {
  if (Array.isArray(part)) {
    const names = part.map(nameOf);
    if (names.length === 0 || names.includes('')) return undefined;
    // The order decides, so it is a part of its own.
    return [...part.map((each, index) => [names[index] ?? '', each] as const), ['order', names]];
  }
  return part !== null && typeof part === 'object' ? Object.entries(part) : undefined;
}

function nameOf(item: unknown): string {
  if (item === null || typeof item !== 'object') return '';
  const { name, id } = item as { name?: unknown; id?: unknown };
  return [name, id].find((each): each is string => typeof each === 'string') ?? '';
}

function digest(part: unknown): string {
  return hash('sha256', canonicalJson((part ?? null) as JsonValue), 'hex');
}
