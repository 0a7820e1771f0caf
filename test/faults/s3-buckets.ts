import type { BackupTarget } from '../../gateway/backup/backup-target.ts';
import { type S3Client, createS3Client } from '../../gateway/backup/s3-client.ts';
import { type S3TargetPlace, openS3Target } from '../../gateway/backup/s3-target.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import type { S3Server } from '../support/s3-server.ts';

/** Ways to the buckets `plain` and `locked`. */
export interface Buckets {
  readonly placeOf: (change?: Partial<S3TargetPlace>) => S3TargetPlace;
  /** A target whose pauses between attempts are noted and not waited out. */
  readonly quick: (change?: Partial<S3TargetPlace>, pauses?: number[]) => BackupTarget;
  /** Past all that a target sees to, as whoever has the credentials. */
  readonly rawClient: (bucket: string) => S3Client;
}

export const MIB = 1024 * 1024;
export const DAY_MS = 86_400_000;

/** Makes the buckets of a server that has none. */
export async function openBuckets(server: S3Server): Promise<Buckets> {
  await server.makeBucket('plain', false);
  await server.makeBucket('locked', true);
  const placeOf = (change: Partial<S3TargetPlace> = {}): S3TargetPlace => {
    const { endpoint, credentials } = server;
    const place = { endpoint, bucket: 'plain', region: 'us-east-1', prefix: '', objectLockMs: undefined };
    return { ...place, credentials, ...change };
  };
  return {
    placeOf,
    quick(change = {}, pauses = []) {
      const pause = async (ms: number): Promise<void> => void pauses.push(ms);
      return openS3Target(placeOf(change), { clock: systemClock, pause });
    },
    rawClient: (bucket) => createS3Client(placeOf({ bucket }), systemClock),
  };
}

/** Pieces of a MiB each that differ. */
export async function* mebibytes(
  count: number,
  before?: (index: number) => unknown,
): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) {
    await before?.(index);
    yield Buffer.alloc(MIB, index + 1);
  }
}

/** All of them. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
