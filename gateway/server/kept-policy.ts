import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { adminDirectory } from '../admin/admin-authority.ts';
import { ensurePrivateDirectory, replaceFile } from '../config/private-file.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';

/** A set of policies as it was in force on this node. */
export interface KeptPolicy {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly contentHash: string;
}

const LABEL = 'policy-in-force';

/** Keeps the set that is in force in the data directory (`DATA/admin/policy-in-force`), sealed. */
export async function keepPolicy(data: string, keyring: Keyring, policy: KeptPolicy): Promise<void> {
  const { raw, contentHash } = policy;
  const plain = Buffer.from(JSON.stringify({ raw, contentHash }));
  await ensurePrivateDirectory(adminDirectory(data));
  await replaceFile(fileOf(data), createSealedBox(keyring, LABEL).seal(plain, LABEL), 0o600);
}

/** Reads what was kept; `undefined` when there is nothing, or nothing that this gateway has sealed. */
export async function readKeptPolicy(data: string, keyring: Keyring): Promise<KeptPolicy | undefined> {
  const sealed = await readFile(fileOf(data)).catch(() => undefined);
  const plain = sealed && createSealedBox(keyring, LABEL).open(sealed, LABEL);
  return plain && (JSON.parse(plain.toString()) as KeptPolicy);
}

/** Lays a kept set out as a file that policies are read from. @returns its path. */
export async function layOutPolicy(data: string, { raw }: KeptPolicy): Promise<string> {
  const directory = join(data, 'policies-kept');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'policy.yaml');
  // JSON is YAML.
  await writeFile(file, `${JSON.stringify(raw, undefined, 2)}\n`, { mode: 0o600 });
  return file;
}

function fileOf(data: string): string {
  return join(adminDirectory(data), 'policy-in-force');
}
