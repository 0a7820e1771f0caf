import { describeError } from './describe-error.ts';
import { scrubText } from './scrub-text.ts';

/** Facts beside a log message, by name. */
export type LogFields = Readonly<Record<string, unknown>>;

const REDACTED = '[redacted]';
const TEXT_LIMIT = 2000;
const ITEMS_LIMIT = 50;
const DEPTH_LIMIT = 4;

/** Names under which something secret or personal may stand, whatever it looks like. */
const SECRET_NAME =
  /cookie|authorization|passw|pwd|secret|token|key$|credential|assertion|jwt|csrf|otp$|vault|jar$|seal|headers?$|body|form$|query|search/i;

/** Names of things that are public, though they may look random: kept as they are. */
const PUBLIC_NAMES = new Set(
  'id requestId traceId sessionId keyId fingerprint fingerprint256 file certFile keyFile caFile directory'.split(
    ' ',
  ),
);

/**
 * Makes facts fit to be logged. Plain objects, arrays, texts and numbers pass, bounded in size and depth and scrubbed;
 * errors become their description; whatever else (requests, headers, buffers, maps) is named by its kind and never
 * opened, because such objects hold secrets under names that nobody listed.
 */
export function safeFields(fields: LogFields): Record<string, unknown> {
  return safeObject(fields, 0);
}

function safeObject(object: object, depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object).slice(0, ITEMS_LIMIT)) {
    if (value === undefined) continue;
    const shown = scrubText(name).slice(0, 64);
    if (PUBLIC_NAMES.has(name) && typeof value === 'string') safe[shown] = value.slice(0, TEXT_LIMIT);
    else safe[shown] = SECRET_NAME.test(name) ? REDACTED : safeValue(value, depth);
  }
  return safe;
}

function safeValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return scrubText(value).slice(0, TEXT_LIMIT);
    case 'number':
    case 'boolean':
      return value;
    case 'bigint':
      return String(value);
    case 'object':
      return value === null ? null : safeReference(value, depth);
    default:
      return `[${typeof value}]`;
  }
}

function safeReference(value: object, depth: number): unknown {
  if (value instanceof Error) return describeError(value);
  if (value instanceof URL) return scrubText(value.href).slice(0, TEXT_LIMIT);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString();
  if (depth >= DEPTH_LIMIT) return '[deep]';
  if (Array.isArray(value)) return value.slice(0, ITEMS_LIMIT).map((item) => safeValue(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return safeObject(value, depth + 1);
  return `[${value.constructor.name.slice(0, 64)}]`;
}
