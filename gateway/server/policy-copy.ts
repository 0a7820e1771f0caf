import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import type { Mistake } from '../policy/mistake.ts';
import { isPolicyName, readPolicyFiles } from '../policy/policy-files.ts';

/** The policies as they were at one moment, in a directory of the gateway's own. */
export interface PolicyCopy {
  readonly path: string;
  /** Says of a mistake in the copy where it stands in the operator's files. */
  original(mistake: Mistake): Mistake;
  /** Removes the copy. */
  remove(): void;
}

/**
 * Copies the policies, so that every worker reads the same texts: also one that starts again while the operator is
 * in the middle of a change, or has made a mistake that was refused. They hold no secrets, which stand in files of
 * their own.
 *
 * @param directory where copies are kept; each gets a directory in it.
 * @returns the copy, or why the policies cannot be read.
 * @throws the system's error when the copy cannot be written.
 */
export function copyPolicies(
  path: string,
  directory: string,
  number: number,
): PolicyCopy | { mistakes: Mistake[] } {
  const { files, mistakes } = readPolicyFiles(path);
  if (mistakes.length > 0) return { mistakes };
  const copy = join(directory, String(number));
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true, mode: 0o700 });
  const originals = new Map<string, string>();
  for (const [index, { file, text }] of files.entries()) {
    // A single file may have any name; in a directory only policies count.
    const name = join(copy, isPolicyName(basename(file)) ? basename(file) : `${index}.yaml`);
    writeFileSync(name, text, { mode: 0o600 });
    originals.set(name, file);
  }
  return {
    path: copy,
    original: (mistake) => ({ ...mistake, file: originals.get(mistake.file) ?? mistake.file }),
    remove: () => rmSync(copy, { recursive: true, force: true }),
  };
}
