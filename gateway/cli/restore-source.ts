import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';

import type { BackupTarget } from '../backup/backup-target.ts';
import { parseIdentities } from '../backup/decrypt.ts';
import { openDirectoryTarget } from '../backup/directory-target.ts';
import { describeOverwritten, overwrittenOf } from '../backup/overwritten.ts';
import { openS3Target } from '../backup/s3-target.ts';
import type { Environment } from '../config/environment.ts';
import type { Clock } from '../core/clock.ts';
import { askSecret } from './ask-secret.ts';
import { UsageError } from './usage-error.ts';

/** An archive where it lies, and the target that it lies at. */
export interface OpenedSource {
  readonly name: string;
  readonly bytes: number | undefined;
  /** What somebody should look at where it lies: it was written over there, say. */
  readonly warnings: readonly string[];
  open(): AsyncIterable<Uint8Array>;
  /** Where its journal is. */
  readonly journal: BackupTarget | undefined;
  /** Where a report of a drill goes. */
  readonly target: BackupTarget;
}

/** How an archive and its journal are reached. */
interface SourceOptions {
  /** A directory with the journal, when it is not beside the archive. */
  readonly journal?: string | undefined;
  readonly environment: Environment;
  readonly clock: Clock;
}

const SIGNER = /^#\s*zasov-signer:\s*(zsb1:[0-9a-f]{64})\s*$/m;

/**
 * Finds an archive: a file, or `s3://BUCKET/NAME` at the service of `AWS_ENDPOINT_URL`.
 *
 * @throws UsageError for what is neither; GatewayError `backup_failed` when it is not there.
 */
export async function openRestoreSource(archive: string, options: SourceOptions): Promise<OpenedSource> {
  const [, bucket, path = ''] = /^s3:\/\/([^/]+)\/(.+)$/.exec(archive) ?? [];
  const target = bucket === undefined ? directoryOf(archive, options) : bucketOf(bucket, path, options);
  const name = basename(bucket === undefined ? archive : path);
  const found = (await target.list(name)).filter((each) => each.name === name);
  const [bytes] = found.map((each) => each.bytes);
  if (bytes === undefined) throw new UsageError(`there is no archive ${archive}`);
  const overwritten = overwrittenOf(found).map((each) => describeOverwritten(each));
  const warnings = [...(await target.warnings()), ...overwritten];
  const journal =
    options.journal === undefined ? target : openDirectoryTarget(resolve(options.journal), options);
  return { name, bytes, warnings, open: () => target.read(name), journal, target };
}

/**
 * Reads age identities: from a file, from standard input with `-`, or from whoever sits at the terminal. A comment
 * `# zasov-signer: FINGERPRINT` in it says whose archives are believed.
 *
 * @throws UsageError when there is none.
 */
export async function readIdentityFile(
  file: string | undefined,
): Promise<{ identities: string[]; signer: string | undefined }> {
  const text = await identityText(file);
  const identities = await parseIdentities(text, () => askSecret('Passphrase of the identity: '));
  if (identities.length === 0)
    throw new UsageError(`${file ?? 'what was typed'} holds no age identity (AGE-SECRET-KEY-…)`);
  return { identities, signer: SIGNER.exec(text)?.[1] };
}

async function identityText(file: string | undefined): Promise<string> {
  if (file === '-') return await readAll(process.stdin);
  if (file !== undefined) {
    const stats = await stat(file).catch(() => undefined);
    if (stats?.isFile() !== true) throw new UsageError(`--identity ${file}: there is no such file`);
    return await readFile(file, 'utf8');
  }
  if (!process.stdin.isTTY)
    throw new UsageError('--identity FILE names the age identity; - reads it from standard input');
  return await askSecret('age identity (AGE-SECRET-KEY-…): ');
}

async function readAll(stream: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

function bucketOf(bucket: string, path: string, { environment, clock }: SourceOptions): BackupTarget {
  const needed = (name: string) => {
    const value = environment[name];
    if (value === undefined) throw new UsageError(`for s3:// the variable ${name} has to be set`);
    return value;
  };
  const place = {
    endpoint: needed('AWS_ENDPOINT_URL'),
    bucket,
    region: environment['AWS_REGION'] ?? 'us-east-1',
    prefix: path.slice(0, path.length - basename(path).length),
    objectLockMs: undefined,
    credentials: {
      accessKeyId: needed('AWS_ACCESS_KEY_ID'),
      secretAccessKey: needed('AWS_SECRET_ACCESS_KEY'),
    },
  };
  return openS3Target(place, { clock });
}

function directoryOf(archive: string, { clock }: SourceOptions): BackupTarget {
  if (!existsSync(archive)) throw new UsageError(`there is no archive ${archive}`);
  return openDirectoryTarget(dirname(resolve(archive)), { clock });
}
