import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { createAuditKeys, readPublicKeys, type TrailVerifier } from '../audit/audit-keys.ts';
import { headsDirectory, listHeads, readHead } from '../audit/trail-head.ts';
import { processEnvironment } from '../config/environment.ts';
import { readSecret } from '../config/read-secret.ts';
import { parseSecretReference, SECRET_FORM, type SecretReference } from '../config/secret-reference.ts';
import { type Keyring, parseKeyring } from '../crypto/keyring.ts';
import { loadPolicy } from '../policy/load-policy.ts';
import { formatMistake } from '../policy/mistake.ts';
import type { Policy } from '../policy/policy.ts';
import { UsageError } from './usage-error.ts';

/** Options that say where a trail is and what opens it. */
export interface AuditFlags {
  readonly data: readonly string[];
  readonly dir?: string | undefined;
  readonly policies?: string | undefined;
  readonly 'master-key'?: string | undefined;
  readonly 'public-key'?: string | undefined;
}

/** Reads the master key that a trail was written under. @throws Error with a sentence for the operator. */
export function readMaster(flags: AuditFlags): Keyring {
  const reference = masterReference(flags);
  const reading = readSecret(reference, processEnvironment());
  if ('value' in reading) return parseKeyring(reading.value);
  throw new Error(
    `the trail cannot be checked: ${reading.problem}; name the key with --master-key or --policies, or pin the public key with --public-key`,
  );
}

/** What the trail is checked with. @throws as {@link readMaster}; UsageError. */
export function readVerifier(flags: AuditFlags): TrailVerifier {
  const pinned = flags['public-key'];
  if (pinned === undefined) return createAuditKeys(readMaster(flags));
  if (flags['master-key'] !== undefined) throw new UsageError('--public-key or --master-key, not both');
  return readPublicKeys(readFileSync(pinned, 'utf8'));
}

/** The directory of the trail: as it is told, as the policies say, the usual one, or the one that the heads name. */
export async function findTrail(
  flags: AuditFlags,
  keys: Pick<TrailVerifier, 'checkSignature'>,
): Promise<string> {
  const told = flags.dir ?? policyOf(flags)?.auditDirectory;
  if (told !== undefined) return told;
  const [data = 'var'] = flags.data;
  const usual = join(data, 'audit');
  if (existsSync(usual)) return usual;
  const heads = headsDirectory(data);
  for (const writer of await listHeads(heads)) {
    const reading = await readHead(heads, writer, keys);
    if (reading.kind === 'good') return reading.head.directory;
  }
  return usual;
}

function masterReference(flags: AuditFlags): SecretReference {
  const told = flags['master-key'];
  if (told !== undefined) {
    const reference = parseSecretReference(told);
    if (reference === undefined) throw new UsageError(`--master-key is ${SECRET_FORM}`);
    return reference;
  }
  const [data = 'var'] = flags.data;
  return policyOf(flags)?.masterKey ?? { kind: 'file', path: join(data, 'master.key') };
}

function policyOf({ policies }: AuditFlags): Policy | undefined {
  if (policies === undefined) return undefined;
  const reading = loadPolicy(policies, processEnvironment());
  if ('policy' in reading) return reading.policy;
  throw new Error(reading.mistakes.map(formatMistake).join('\n'));
}
