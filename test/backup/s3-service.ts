/** What an S3 service seldom does, done by a small server of the tests' own; Ceph does the rest in test/faults. */
import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

import type { BackupTarget } from '../../gateway/backup/backup-target.ts';
import { type S3TargetPlace, openS3Target } from '../../gateway/backup/s3-target.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** Answers one request, whose body was read whole. */
export type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

/** A service and the target that is asked of it. */
export interface Service {
  readonly target: BackupTarget;
  readonly requests: IncomingMessage[];
  readonly pauses: number[];
}

/** A listing of nothing. */
export const EMPTY = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>';
/** What a bucket that never kept versions answers when it is asked. */
const UNVERSIONED: Answer = (_, response) => void response.end('<VersioningConfiguration/>');
/** A refusal as services say it. */
export const failed = (code: string): string =>
  `<Error><Code>${code}</Code><Message>SECRET</Message></Error>`;

/**
 * A service that gives these answers one after another, the last one for ever.
 *
 * @param versioning answers the question for versions, which counts as no request.
 */
export async function serve(
  t: Test,
  answers: readonly Answer[],
  change: Partial<S3TargetPlace> = {},
  versioning: Answer = UNVERSIONED,
): Promise<Service> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    const isAsked = request.url?.endsWith('?versioning=') === true;
    const answer = isAsked ? versioning : answers[Math.min(requests.length, answers.length - 1)];
    if (!isAsked) requests.push(request);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer?.(request, response, Buffer.concat(chunks)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const pauses: number[] = [];
  const target = openS3Target(
    {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      bucket: 'b',
      region: 'eu-1',
      prefix: '',
      objectLockMs: undefined,
      credentials: { accessKeyId: 'AK', secretAccessKey: 'SK' },
      ...change,
    },
    { clock: new ManualClock(), pause: async (ms) => void pauses.push(ms) },
  );
  return { target, requests, pauses };
}

/** Answers with a status and a text. */
export const says =
  (status: number, text = '', headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(status, headers).end(text);
/** Breaks the line off. */
export const breaksOff: Answer = (request) => void request.socket.destroy();
