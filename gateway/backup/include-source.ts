import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';

import { request } from 'undici';

import { GatewayError } from '../core/gateway-error.ts';
import { printable } from '../core/printable.ts';
import { noteFailure } from './note-failure.ts';

/** What goes along with a source. */
export interface SourceOptions {
  /** How long all of it may take. */
  readonly timeoutMs: number;
  /** How long a dump may write nothing while it is waited for; left out, only the whole counts. */
  readonly idleMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** So much of what a command complains about is told. */
const COMPLAINT_CHARACTERS = 1000;
/** Escape sequences and lines that are shown as one take more than what is left of them. */
const KEPT_CHARACTERS = 4 * COMPLAINT_CHARACTERS;

/**
 * What a command writes to its standard output; no shell.
 *
 * @throws GatewayError `backup_failed` when it cannot be started, ends badly, is too slow or writes nothing.
 */
export async function* runDump(
  command: readonly string[],
  { timeoutMs, idleMs, signal }: SourceOptions,
): AsyncGenerator<Uint8Array> {
  const run = start(command, timeoutMs, signal, 'ignore');
  let bytes = 0;
  try {
    const output = (run.child.stdout ?? []) as AsyncIterable<Buffer>;
    const late = () => run.kill(`it wrote nothing for ${secondsOf(idleMs ?? 0)}`);
    for await (const chunk of idleMs === undefined ? output : waitedFor(output, idleMs, late)) {
      bytes += chunk.length;
      yield chunk;
    }
    await run.finish();
    if (bytes === 0) throw failed(command, 'it wrote nothing');
  } catch (error) {
    // Output that broke off says less than how the command ended.
    await run.finish();
    throw error;
  } finally {
    run.end();
  }
}

/** Tells when a chunk is waited for too long. Time that whoever reads takes between two of them does not count. */
async function* waitedFor(
  source: AsyncIterable<Buffer>,
  idleMs: number,
  late: () => void,
): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const timer = setTimeout(late, idleMs);
      const step = await chunks.next().finally(() => clearTimeout(timer));
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await chunks.return?.();
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
  { timeoutMs, idleMs = timeoutMs, signal }: SourceOptions,
): AsyncGenerator<Uint8Array> {
  const late = AbortSignal.timeout(timeoutMs);
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  // What stands behind a question mark may be a secret.
  const where = `${new URL(url).origin}${new URL(url).pathname}`;
  let bytes = 0;
  try {
    const { statusCode, body } = await request(url, {
      headers,
      signal: signal === undefined ? late : AbortSignal.any([late, signal]),
      bodyTimeout: idleMs,
      headersTimeout: idleMs,
    });
    if (statusCode !== 200) {
      await body.dump();
      throw new GatewayError('backup_failed', `${where} answered ${statusCode}`);
    }
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError('backup_failed', `${where}: ${sentenceOf(error, late, { timeoutMs, idleMs })}`, {
      cause: error,
    });
  }
  if (bytes === 0) throw new GatewayError('backup_failed', `${where} sent nothing`);
}

function sentenceOf(
  error: unknown,
  late: AbortSignal,
  limits: { timeoutMs: number; idleMs: number },
): string {
  if (late.aborted) return `it took longer than ${secondsOf(limits.timeoutMs)}`;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'UND_ERR_BODY_TIMEOUT' || code === 'UND_ERR_HEADERS_TIMEOUT')
    return `it sent nothing for ${secondsOf(limits.idleMs)}`;
  return printable(error instanceof Error ? error.message : String(error), COMPLAINT_CHARACTERS);
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
    complaint = (complaint + text).slice(-KEPT_CHARACTERS);
  });
  const ended = endOf(child);
  let isOver = false;
  child.once('close', () => (isOver = true));
  // The group may have members that its first process left behind, so its end alone says nothing.
  const end = () => {
    if (!isOver) killGroup(child);
  };
  let why: string | undefined;
  const kill = (says: string) => {
    why ??= says;
    end();
    // Something that left the group may hold its pipes open for ever.
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy();
  };
  const timer = setTimeout(() => kill(`it took longer than ${secondsOf(timeoutMs)}`), timeoutMs);
  const abort = () => kill('it was ended');
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted === true) abort();
  return {
    child,
    kill,
    finish: async () => {
      const badly = await ended;
      if (why !== undefined || badly !== undefined) throw failed(command, why ?? badly ?? '', complaint);
    },
    end: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      end();
    },
  };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
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

function failed(command: readonly string[], says: string, complaint = ''): GatewayError {
  const shown = printable(complaint, COMPLAINT_CHARACTERS);
  const told = shown === '' ? '' : `: ${shown}`;
  return new GatewayError('backup_failed', `${command[0] ?? ''}: ${says}${told}`);
}

function secondsOf(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
