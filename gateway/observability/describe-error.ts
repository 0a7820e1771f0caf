import { GatewayError } from '../core/gateway-error.ts';
import { scrubText } from './scrub-text.ts';

/** An error as the log shows it. */
export interface ErrorDescription {
  readonly type: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: ErrorDescription | string;
  /** The parts of an AggregateError, such as one per address of a host. */
  readonly errors?: readonly ErrorDescription[];
}

const DEPTH_LIMIT = 4;
const FRAMES_LIMIT = 12;
const MESSAGE_LIMIT = 1000;

/**
 * An error for the log: type, code, message, stack, causes, and no property else, because errors of other people's
 * code carry requests, headers and bodies along. Their messages quote input too ("Unexpected token in …"), so that
 * what they quote is taken out; our own messages and the operating system's stay whole, but scrubbed.
 */
export function describeError(error: Error, depth = 0): ErrorDescription {
  const code = 'code' in error ? shortWord(error.code) : undefined;
  const stack = frames(error.stack);
  return {
    type: shortWord(error.name) ?? 'Error',
    ...(code === undefined ? {} : { code }),
    message: messageOf(error),
    ...(stack === '' ? {} : { stack }),
    ...(depth + 1 < DEPTH_LIMIT ? origins(error, depth + 1) : {}),
  };
}

function messageOf(error: Error): string {
  const isTrusted = error instanceof GatewayError || ('syscall' in error && 'errno' in error);
  return scrubText(isTrusted ? error.message : withoutQuotations(error.message)).slice(0, MESSAGE_LIMIT);
}

function origins(error: Error, depth: number): Pick<ErrorDescription, 'cause' | 'errors'> {
  const parts: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  const errors = parts.filter((part) => part instanceof Error).slice(0, DEPTH_LIMIT);
  return {
    ...(error.cause === undefined ? {} : { cause: describeCause(error.cause, depth) }),
    ...(errors.length === 0 ? {} : { errors: errors.map((part) => describeError(part, depth)) }),
  };
}

/** A cause that is no error may be anything, a request included: only its type is told. */
function describeCause(cause: unknown, depth: number): ErrorDescription | string {
  return cause instanceof Error ? describeError(cause, depth) : typeof cause;
}

/** From the first quotation mark of a kind to its last, since what is quoted may hold quotation marks itself. */
function withoutQuotations(message: string): string {
  return message
    .replace(/"[\s\S]*"/, '"…"')
    .replace(/`[\s\S]*`/, '`…`')
    .replace(/(?<!\w)'[\s\S]*'/, "'…'");
}

/** The places, without the message that V8 puts above them. */
function frames(stack: string | undefined): string {
  const lines = (stack ?? '').split('\n').filter((line) => /^\s+at\s/.test(line));
  return lines
    .slice(0, FRAMES_LIMIT)
    .map((line) => scrubText(line.slice(0, 300)))
    .join('\n');
}

function shortWord(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : undefined;
}
