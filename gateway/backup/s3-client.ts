import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { AwsV4Signer } from 'aws4fetch';
import { Agent, type Dispatcher } from 'undici';

import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { type S3Attempt, isPassing, networkFailure, readRefusal, refusalFailure } from './s3-failure.ts';

/** What opens a bucket. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A bucket of a service. */
export interface S3Place {
  /** `https://HOST[:PORT][/PATH]`; the bucket is named in the path, not in the host. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly credentials: S3Credentials;
}

/** Waits so many milliseconds, or until it is ended. */
export type Pause = (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;

/** One operation. */
export interface S3Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** The whole key; left out, the bucket itself is meant. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** For the message of a failure: "write zasov-….age". */
  readonly what: string;
  /** The permission that it needs, in the words of IAM. */
  readonly permission: string;
  /** Statuses or codes beside success that the caller deals with. */
  readonly expects?: readonly (number | string)[];
  readonly signal?: AbortSignal | undefined;
}

/** What came back: a success, or what the caller expected. */
interface S3Answer {
  readonly status: number;
  /** The service's code when it is no success. */
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** How often it was sent: from the second time on, an earlier one may have had its effect. */
  readonly tries: number;
}

/** The way to one bucket: requests are signed, tried again where that helps, and failures told in plain words. */
export interface S3Client {
  readonly where: string;
  readonly bucket: string;
  readonly clock: Clock;
  readonly pause: Pause;
  /** Sends it and reads the answer whole. */
  call(call: S3Call): Promise<S3Answer>;
  /** Sends it once; a success comes with its body unread, whatever else is thrown. */
  open(call: S3Call): Promise<Dispatcher.ResponseData>;
  /** The failure that an error of the network means. */
  failure(call: S3Call, error: unknown): unknown;
}

/** Before the second to the last attempt, in ms: a service that restarts is back by then, or it is really away. */
export const RETRY_PAUSES_MS = [250, 1000, 3000, 9000] as const;
const CONNECT_TIMEOUT_MS = 10_000;
/** Without a byte in either direction. Putting the parts of a large object together takes the service its time. */
const SILENCE_MS = 60_000;
const COMPLETION_MS = 300_000;
const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024;
const SLICE_BYTES = 64 * 1024;
const PASSING_CODES = new Set([
  'RequestTimeout',
  'OperationAborted',
  'ConditionalRequestConflict',
  'SlowDown',
]);

/** Makes the way to a bucket. Signature Version 4, the payload's hash always signed. */
export function createS3Client(place: S3Place, clock: Clock, pause: Pause = pauseFor): S3Client {
  const base = new URL(place.endpoint);
  const agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: SILENCE_MS,
    bodyTimeout: SILENCE_MS,
  });
  const where = `the bucket ${place.bucket} at ${base.origin}`;
  const cache = new Map<string, ArrayBuffer>();
  const attemptOf = ({ what, permission }: S3Call): S3Attempt => ({
    what,
    permission,
    where,
    bucket: place.bucket,
    nowMs: clock.now(),
  });

  async function send(what: S3Call): Promise<Dispatcher.ResponseData> {
    const body = what.body ?? new Uint8Array();
    const path = `${base.pathname.replace(/\/$/, '')}/${place.bucket}${what.key === undefined ? '' : `/${what.key}`}`;
    const query = Object.entries(what.query ?? {}).map((pair) => pair.map(encodeURIComponent).join('='));
    const search = query.length === 0 ? '' : `?${query.join('&')}`;
    const signer = new AwsV4Signer({
      method: what.method,
      url: `${base.origin}${path}${search}`,
      headers: { ...what.headers, 'x-amz-content-sha256': createHash('sha256').update(body).digest('hex') },
      ...place.credentials,
      service: 's3',
      region: place.region,
      datetime: new Date(clock.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
      cache,
    });
    const { headers } = await signer.sign();
    const options: Dispatcher.RequestOptions = {
      origin: base.origin,
      path: `${path}${search}`,
      method: what.method,
      headers: {
        ...Object.fromEntries(headers),
        ...(what.body === undefined ? {} : { 'content-length': String(body.length) }),
      },
      body: what.body === undefined ? null : Readable.from(slices(body), { objectMode: false }),
      headersTimeout: what.method === 'POST' ? COMPLETION_MS : SILENCE_MS,
      ...(what.signal === undefined ? {} : { signal: what.signal }),
    };
    return await agent.request(options);
  }

  async function readAnswer(what: S3Call, tries: number): Promise<S3Answer> {
    const { statusCode: status, headers, body } = await send(what);
    const text = await readText(body);
    const isRefusal = status > 299 || (what.method === 'POST' && /^\s*(?:<\?[^>]*>\s*)?<Error>/.test(text));
    const { code } = isRefusal ? readRefusal(status, text, '') : { code: '' };
    const answer = { status, code, headers: plainHeaders(headers), text, tries };
    if (!isRefusal || isExpected(what, answer)) return answer;
    throw new RefusedError(answer);
  }

  async function call(what: S3Call): Promise<S3Answer> {
    for (let tries = 1; ; tries += 1) {
      const waitMs = RETRY_PAUSES_MS[tries - 1];
      try {
        return await readAnswer(what, tries);
      } catch (error) {
        what.signal?.throwIfAborted();
        if (waitMs === undefined || !mayPass(error)) throw failure(what, error);
      }
      await pause(waitMs, what.signal);
    }
  }

  function failure(what: S3Call, error: unknown): unknown {
    if (!(error instanceof RefusedError)) return networkFailure(attemptOf(what), error);
    const { status, text, headers } = error.answer;
    return refusalFailure(attemptOf(what), readRefusal(status, text, headers.date ?? ''));
  }

  return {
    where,
    bucket: place.bucket,
    clock,
    pause,
    call,
    failure,
    async open(what) {
      const answer = await send(what);
      if (answer.statusCode <= 299) return answer;
      const text = await readText(answer.body);
      const { code } = readRefusal(answer.statusCode, text, '');
      const headers = plainHeaders(answer.headers);
      throw new RefusedError({ status: answer.statusCode, code, headers, text, tries: 1 });
    },
  };
}

/** Carries a refusal to where it is tried again or told; nobody else sees it. */
class RefusedError extends Error {
  readonly answer: S3Answer;

  constructor(answer: S3Answer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

/** The service's code of a refusal that {@link S3Client.open} threw, or its status in digits; otherwise nothing. */
export function refusalCode(error: unknown): string | undefined {
  if (!(error instanceof RefusedError)) return undefined;
  return error.answer.code === '' ? String(error.answer.status) : error.answer.code;
}

/** Whether another attempt may go better: the network, or a service that has too much to do. */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof RefusedError)) return isPassing(error);
  const { status, code } = error.answer;
  const isBusy = status === 429 || (status >= 500 && status !== 501 && status !== 507);
  // An answer of 200 may still hold an error, which came while the service was at it.
  return isBusy || PASSING_CODES.has(code) || (status === 200 && code === 'InternalError');
}

function isExpected({ expects = [] }: S3Call, { status, code }: S3Answer): boolean {
  return expects.some((each) => each === status || each === code);
}

/** Handed on in slices, so that a slow line is one that goes forward, and a silent one is noticed. */
async function* slices(body: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < body.length; start += SLICE_BYTES)
    yield body.subarray(start, start + SLICE_BYTES);
}

async function readText(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_LIMIT_BYTES)
      throw new GatewayError(
        'backup_failed',
        'the answer is longer than any of an S3 service: look at the endpoint',
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function plainHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? (value[0] ?? '') : (value ?? ''),
    ]),
  );
}

function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<unknown> {
  return delay(ms, undefined, signal === undefined ? {} : { signal });
}
