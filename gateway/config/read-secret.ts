import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import type { Environment } from './environment.ts';
import type { SecretReference } from './secret-reference.ts';

/** No key or token is longer; a reference to the wrong file must not fill the memory. */
const LONGEST_BYTES = 64 * 1024;

/** A secret, or why it cannot be had, in words for an operator that hold nothing of the secret. */
export type SecretReading =
  | { readonly value: string }
  | { readonly problem: string; readonly absent: boolean };

/**
 * Reads a secret, which is text. One line break at the end of a file is taken off, because editors and `echo` put it there;
 * nothing else is.
 *
 * @param environment where `env:` is looked up, and `CREDENTIALS_DIRECTORY` for `credential:` (systemd.exec(5)).
 * @returns `absent: true` when there is no such file or variable at all, `false` when it is there but no use.
 */
export function readSecret(reference: SecretReference, environment: Environment): SecretReading {
  switch (reference.kind) {
    case 'file':
      return readSecretFile(reference.path);
    case 'env': {
      const text = environment[reference.name];
      if (text === undefined) return problem(`environment variable ${reference.name} is not set`, true);
      return text === ''
        ? problem(`environment variable ${reference.name} is empty`, false)
        : { value: text };
    }
    case 'credential': {
      const directory = environment['CREDENTIALS_DIRECTORY'];
      if (directory === undefined || directory === '')
        return problem('CREDENTIALS_DIRECTORY is not set: systemd passed no credentials', true);
      return readSecretFile(join(directory, reference.name));
    }
    default:
      return reference satisfies never;
  }
}

function readSecretFile(path: string): SecretReading {
  try {
    const facts = statSync(path);
    if (!facts.isFile()) return problem(`${path} is not a file`, false);
    if (facts.size > LONGEST_BYTES) return problem(`${path} is too large for a secret`, false);
    const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return value === '' ? problem(`${path} is empty`, false) : { value };
  } catch (error) {
    return problem(`${path} ${fileProblem(error)}`, isAbsent(error));
  }
}

function problem(text: string, absent: boolean): SecretReading {
  return { problem: text, absent };
}

/** Says why a file could not be read, as the end of a sentence that begins with its path. */
export function fileProblem(error: unknown): string {
  switch (errorCode(error)) {
    case 'ENOENT':
      return 'does not exist';
    case 'ENOTDIR':
      return 'does not exist: part of its path is a file';
    case 'EISDIR':
      return 'is a directory';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this user';
    default:
      return `cannot be read${errorCode(error) === undefined ? '' : ` (${errorCode(error)})`}`;
  }
}

function isAbsent(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
