import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { fileProblem } from '../config/read-secret.ts';
import type { Mistake } from './mistake.ts';

/** Policies are written by hand; anything larger was meant to be something else. */
const LARGEST_FILE_BYTES = 1024 * 1024;
const MOST_FILES = 200;

/** One policy file's text. */
export interface PolicyFile {
  readonly file: string;
  readonly text: string;
}

/** Whether a name in a policy directory is a policy: YAML, not hidden, not a policy test. */
export function isPolicyName(name: string): boolean {
  return /\.ya?ml$/.test(name) && !/\.test\.ya?ml$/.test(name) && !name.startsWith('.');
}

/**
 * Reads one policy file, or all of a directory in the order of their names (not those of folders inside it).
 *
 * @returns what could be read, and a mistake for everything that could not.
 */
export function readPolicyFiles(path: string): { files: PolicyFile[]; mistakes: Mistake[] } {
  const files: PolicyFile[] = [];
  const mistakes: Mistake[] = [];
  const refuse = (file: string, message: string) => mistakes.push({ file, line: 1, column: 1, message });
  try {
    const names = namesOf(path);
    if (names.length === 0) refuse(path, 'the directory holds no policy (*.yaml, *.yml)');
    if (names.length > MOST_FILES) refuse(path, `the directory holds more than ${MOST_FILES} policies`);
    for (const name of names.slice(0, MOST_FILES)) {
      const read = readText(name);
      if ('text' in read) files.push({ file: name, text: read.text });
      else refuse(name, read.problem);
    }
  } catch (error) {
    refuse(path, `the path ${fileProblem(error)}`);
  }
  return { files, mistakes };
}

function namesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter(isPolicyName)
    .toSorted()
    .map((name) => join(path, name))
    .filter((file) => !isFolder(file));
}

/** A dangling link is kept: that a policy is gone must be said, not passed over. */
function isFolder(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false }) ?? lstatSync(file)).isDirectory();
}

function readText(file: string): { text: string } | { problem: string } {
  try {
    const facts = statSync(file);
    if (!facts.isFile()) return { problem: 'this is not a file' };
    if (facts.size > LARGEST_FILE_BYTES) return { problem: 'the file is larger than 1 MiB' };
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)) };
  } catch (error) {
    return {
      problem: error instanceof TypeError ? 'the file is not UTF-8' : `the file ${fileProblem(error)}`,
    };
  }
}
