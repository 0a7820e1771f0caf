import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';

import { request } from 'undici';

import { GatewayError } from '../core/gateway-error.ts';

/** What goes along with a source. */
export interface SourceOptions {
  /** How long all of it may take. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** So much of what a command complains about is told. */
const COMPLAINT_BYTES = 2000;

/**
 * What a command writes to its standard output; no shell.
 *
 * @throws GatewayError `backup_failed` when it cannot be started, ends badly, is too slow or writes nothing.
 */
export async function* runDump(
  command: readonly string[],
  { timeoutMs, signal }: SourceOptions,
): AsyncGenerator<Uint8Array> {
  const run = start(command, timeoutMs, signal, 'ignore');
  let bytes = 0;
  try {
    for await (const chunk of run.child.stdout ?? []) {
      bytes += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
    await run.finish();
    if (bytes === 0) throw failed(command, 'it wrote nothing');
  } finally {
    run.end();
  }
}

/**
 * What a URL answers with.
 *
 * @throws GatewayError `backup_failed` when it answers with anything but 200, is too slow or sends nothing.
 */
export async function* fetchDump(
  url: string,
  token: string | undefined,
  { timeoutMs, signal }: SourceOptions,
): AsyncGenerator<Uint8Array> {
  const late = AbortSignal.timeout(timeoutMs);
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let bytes = 0;
  try {
    const { statusCode, body } = await request(url, {
      headers,
      signal: signal === undefined ? late : AbortSignal.any([late, signal]),
      bodyTimeout: timeoutMs,
      headersTimeout: timeoutMs,
    });
    if (statusCode !== 200) {
      await body.dump();
      throw new GatewayError('backup_failed', `${url} answered ${statusCode}`);
    }
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    const says = error instanceof Error ? error.message : String(error);
    throw new GatewayError('backup_failed', `${url}: ${says}`, { cause: error });
  }
  if (bytes === 0) throw new GatewayError('backup_failed', `${url} sent nothing`);
}

/**
 * Feeds a command's standard input; no shell.
 *
 * @throws GatewayError `backup_failed` as {@link runDump}; what the body throws.
 */
export async function runRestore(
  command: readonly string[],
  body: AsyncIterable<Uint8Array>,
  { timeoutMs, signal }: SourceOptions,
): Promise<void> {
  const run = start(command, timeoutMs, signal, 'pipe');
  const source: { failure?: unknown } = {};
  try {
    if (run.child.stdin !== null) {
      // A command that has enough closes its input: how it ends says whether that was right.
      await pipeline(noteFailure(body, source), run.child.stdin).catch(() => undefined);
    }
    if (source.failure !== undefined) throw source.failure;
    await run.finish();
  } finally {
    run.end();
  }
}

function start(
  command: readonly string[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
  stdin: 'ignore' | 'pipe',
) {
  const [program = '', ...parameters] = command;
  // A group of its own, so that what the command has started ends with it.
  const child = spawn(program, parameters, {
    stdio: [stdin, stdin === 'pipe' ? 'ignore' : 'pipe', 'pipe'],
    detached: true,
  });
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-COMPLAINT_BYTES);
  });
  const ended = endOf(child);
  let why: string | undefined;
  const kill = (says: string) => {
    why ??= says;
    killGroup(child);
  };
  const timer = setTimeout(() => kill(`it took longer than ${Math.round(timeoutMs / 1000)} s`), timeoutMs);
  const abort = () => kill('it was ended');
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted === true) abort();
  return {
    child,
    finish: async () => {
      const end = await ended;
      if (why !== undefined || end !== undefined) throw failed(command, why ?? end ?? '', complaint);
    },
    end: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      killGroup(child);
    },
  };
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself in this moment.
  }
}

/** @returns how it ended badly. Never rejects. */
async function endOf(child: ChildProcess): Promise<string | undefined> {
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    if (code === 0) return undefined;
    return signal === null ? `it ended with ${code}` : `it was ended by ${signal}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function* noteFailure(
  body: AsyncIterable<Uint8Array>,
  source: { failure?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    source.failure = error;
    throw error;
  }
}

function failed(command: readonly string[], says: string, complaint = ''): GatewayError {
  const told = complaint.trim() === '' ? '' : `: ${complaint.trim()}`;
  return new GatewayError('backup_failed', `${command[0] ?? ''}: ${says}${told}`);
}
