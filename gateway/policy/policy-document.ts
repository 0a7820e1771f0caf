import { createHash } from 'node:crypto';

import type { Mistake, Place } from './mistake.ts';
import { readPolicyFiles } from './policy-files.ts';
import { readYaml, type Trail, type YamlSource } from './yaml-source.ts';

/** All policy files as one mapping that still knows where each part came from. */
export interface PolicyDocument {
  readonly value: Readonly<Record<string, unknown>>;
  readonly mistakes: readonly Mistake[];
  /** Whether everything was read; if not, nothing can be said about what is missing. */
  readonly isWhole: boolean;
  /** SHA-256 over names and texts, hexadecimal: equal hashes mean equal policies. */
  readonly hash: string;
  placeOfKey(trail: Trail): Place;
  placeOfValue(trail: Trail): Place;
  textOf(trail: Trail): string | undefined;
}

/** Reads a policy file or directory and merges the files by their top-level keys. Never throws. */
export function readPolicyDocument(path: string): PolicyDocument {
  const { files, mistakes } = readPolicyFiles(path);
  const hash = createHash('sha256');
  for (const { file, text } of files) hash.update(`${JSON.stringify([file, text])}\n`);
  const sources = files.map(({ file, text }) => readYaml(file, text));
  return mergeSources(path, sources, mistakes, hash.digest('hex'));
}

function mergeSources(
  path: string,
  sources: readonly YamlSource[],
  fileMistakes: readonly Mistake[],
  hash: string,
): PolicyDocument {
  const owners = new Map<string, YamlSource>();
  const value: Record<string, unknown> = {};
  const mistakes = [...fileMistakes, ...sources.flatMap((source) => source.mistakes)];
  const isWhole = fileMistakes.length === 0 && sources.every((source) => source.value !== undefined);
  for (const source of sources) {
    for (const [key, part] of Object.entries(source.value ?? {})) {
      const owner = owners.get(key);
      if (owner === undefined) {
        owners.set(key, source);
        value[key] = part;
        continue;
      }
      const first = owner.placeOfKey([key]);
      const message = `key given twice, first in ${first.file}:${first.line}:${first.column}`;
      mistakes.push({ ...source.placeOfKey([key]), message, text: key });
    }
  }
  const top: Place = sources[0]?.placeOfKey([]) ?? { file: path, line: 1, column: 1 };
  const ownerOf = (trail: Trail) => owners.get(String(trail[0]));
  return {
    value,
    mistakes,
    isWhole,
    hash,
    placeOfKey: (trail) => ownerOf(trail)?.placeOfKey(trail) ?? { ...top, line: 1, column: 1 },
    placeOfValue: (trail) => ownerOf(trail)?.placeOfValue(trail) ?? { ...top, line: 1, column: 1 },
    textOf: (trail) => ownerOf(trail)?.textOf(trail),
  };
}
