import { createReadStream, existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';

import type { BackupTarget } from '../backup/backup-target.ts';
import { openDirectoryTarget } from '../backup/directory-target.ts';
import { IDENTITY_FILE_BYTES, type IdentityFile, readIdentities } from '../backup/identity-file.ts';
import { describeOverwritten, overwrittenOf } from '../backup/overwritten.ts';
import { openS3Target } from '../backup/s3-target.ts';
import type { Environment } from '../config/environment.ts';
import { readSecret } from '../config/read-secret.ts';
import { parseSecretReference, SECRET_FORM } from '../config/secret-reference.ts';
import type { Clock } from '../core/clock.ts';
import { askTerminal } from './ask-terminal.ts';
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
  /** Ends a reading that is under way. */
  readonly signal?: AbortSignal;
}

/** How identities are come by. */
interface IdentityOptions {
  /** A file, `-` for standard input, or `undefined` for whoever sits at the terminal. */
  readonly identity: string | undefined;
  /** Where the passphrase of the file is, if it has one; otherwise the terminal is asked. */
  readonly passphrase: string | undefined;
  readonly environment: Environment;
  readonly signal?: AbortSignal;
}

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
  const { signal } = options;
  const open = () => target.read(name, signal === undefined ? {} : { signal });
  return { name, bytes, warnings, open, journal, target };
}

/**
 * Reads age identities, as `age-keygen` and `age -p` write them.
 *
 * @throws UsageError when they are nowhere; GatewayError `backup_invalid` as `readIdentities`.
 */
export async function findIdentities(options: IdentityOptions): Promise<IdentityFile> {
  return await readIdentities(await identityFile(options), () => passphraseOf(options));
}

async function identityFile({ identity, signal }: IdentityOptions): Promise<Uint8Array> {
  if (identity === '-') return await readBounded(process.stdin, 'standard input');
  if (identity !== undefined) {
    const stats = await stat(identity).catch(() => undefined);
    if (stats === undefined || stats.isDirectory())
      throw new UsageError(`--identity ${identity}: there is no such file`);
    return await readBounded(createReadStream(identity), identity);
  }
  if (!process.stdin.isTTY)
    throw new UsageError('--identity FILE names the age identity; - reads it from standard input');
  const isAnswer = (line: string) => line.trim() !== '' && !line.startsWith('#');
  const question = 'age identity (AGE-SECRET-KEY-…): ';
  return Buffer.from(await askTerminal(question, { isSecret: true, isAnswer, signal }));
}

async function passphraseOf({ passphrase, environment, signal }: IdentityOptions): Promise<string> {
  if (passphrase === undefined) {
    const question = 'Passphrase of the identity: ';
    return await askTerminal(question, { isSecret: true, signal }).catch((error: unknown) => {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`the identity has a passphrase, and ${error.message}: --passphrase names it`);
    });
  }
  const reference = parseSecretReference(passphrase);
  if (reference === undefined) throw new UsageError(`--passphrase is ${SECRET_FORM}`);
  // What a shell makes of <(command) is no file, and is read once.
  if (reference.kind === 'file' && reference.path.startsWith('/dev/fd/'))
    return firstLine(await readBounded(createReadStream(reference.path), reference.path));
  const reading = readSecret(reference, environment);
  if ('value' in reading) return reading.value;
  throw new UsageError(`--passphrase: ${reading.problem}`);
}

function firstLine(bytes: Buffer): string {
  return bytes.toString().split(/\r?\n/, 1)[0] ?? '';
}

async function readBounded(stream: AsyncIterable<Buffer | string>, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes > IDENTITY_FILE_BYTES) throw new UsageError(`${name} is longer than any identity file`);
  }
  return Buffer.concat(chunks);
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
