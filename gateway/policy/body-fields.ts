import { parseHeaderParameters } from './header-parameters.ts';
import { parseMultipart } from './multipart.ts';
import { valuesOf } from './parameter-name.ts';
import type { BodyFields } from './recognition.ts';

const LONGEST_BODY_BYTES = 64 * 1024;
const UTF8_NAMES = new Set(['utf-8', 'utf8', 'us-ascii']);

/**
 * Reads the fields of a small request body: urlencoded, multipart or JSON. Never throws. Whatever is malformed, not
 * UTF-8 or read differently by different parsers is absent, so that nobody is taken for somebody else.
 *
 * @param contentType the request's `Content-Type`.
 * @param body the whole body, decoded from any content coding, 64 KiB at most.
 * @returns `undefined` when the body is of a kind that has no fields, or too large.
 */
export function parseBodyFields(contentType: string | undefined, body: Buffer): BodyFields | undefined {
  const type = parseHeaderParameters(contentType ?? '');
  if (type === undefined || body.length > LONGEST_BODY_BYTES) return undefined;
  const { value, parameters } = type;
  if (!UTF8_NAMES.has(parameters.get('charset')?.toLowerCase() ?? 'utf-8')) return undefined;
  if (value === 'application/x-www-form-urlencoded') return formFields(urlencodedPairs(body));
  if (value === 'multipart/form-data') return formFields(multipartPairs(body, parameters.get('boundary')));
  return value === 'application/json' || value.endsWith('+json') ? jsonFields(body) : undefined;
}

function multipartPairs(body: Buffer, boundary: string | undefined): [string, string | undefined][] {
  const parts = boundary === undefined ? undefined : parseMultipart(body, boundary);
  return (parts ?? []).map(([name, value]) => [name, utf8(value)]);
}

/** A byte that is not UTF-8 decodes to the replacement character, so that two names could become the same. */
function urlencodedPairs(body: Buffer): [string, string | undefined][] {
  const text = utf8(body);
  if (text === undefined) return [];
  return [...new URLSearchParams(text.startsWith('?') ? `&${text}` : text)].map(([name, value]) => [
    name,
    value.includes('\uFFFD') ? undefined : value,
  ]);
}

function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function formFields(pairs: readonly [string, string | undefined][]): BodyFields {
  return {
    form: (name) => {
      const [first, ...others] = valuesOf(pairs, name);
      return others.every((value) => value === first) ? first : undefined;
    },
    formValues: (name) => valuesOf(pairs, name).filter((value) => value !== undefined),
    json: () => undefined,
  };
}

function jsonFields(body: Buffer): BodyFields {
  const root = parseJson(body);
  return {
    form: () => undefined,
    formValues: () => [],
    json: (path) => {
      let value = root;
      for (const key of path) value = ownValue(value, key);
      return asText(value);
    },
  };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(utf8(body) ?? '') as unknown;
  } catch {
    return undefined;
  }
}

function ownValue(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  if (Array.isArray(value) && !/^\d+$/.test(key)) return undefined;
  return (value as Record<string, unknown>)[key];
}

/** Beyond 2^53 two different numbers of a body would become the same text. */
function asText(value: unknown): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? value : undefined;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number' || Math.abs(value) > Number.MAX_SAFE_INTEGER) return undefined;
  return String(value);
}
