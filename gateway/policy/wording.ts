import { z } from 'zod';

/** What an operator is told when a value does not fit. */
export interface Wording {
  /** What is wrong; with a colon at the end if the offending text is to follow. */
  readonly says: string;
  /** What may stand there. */
  readonly allowed?: string | undefined;
  /** The words from which one was probably meant. */
  readonly among?: readonly string[] | undefined;
  /** The offending text may be a secret and must not be repeated. */
  readonly conceal?: boolean | undefined;
}

/** Packs a wording into the one string that a zod issue carries. */
export function packWording(wording: Wording): string {
  return JSON.stringify(wording);
}

/** Takes a wording out of an issue's message; zod's own English for the few messages that have none. */
export function unpackWording(message: string): Wording {
  return message.startsWith('{"says":') ? (JSON.parse(message) as Wording) : { says: message };
}

/** A parsed value, or a sentence that says why there is none. */
export type Reading<T> = { readonly value: T } | { readonly mistake: string };

/** How a scalar is written. */
export interface ScalarForm<T> {
  /** "not a duration". */
  readonly not: string;
  /** What may stand there. */
  readonly allowed: string;
  /** `undefined` stands for "not what it should be"; a mistake says more. */
  read(text: string): Reading<T> | undefined;
  /** For editors: a pattern that every good value matches, and examples. */
  readonly schema?: { readonly pattern?: string; readonly examples?: readonly string[] };
  /** Which texts may hold a secret and must not be repeated in a message. */
  readonly conceal?: (text: string) => boolean;
}

/** A text of a certain form, which becomes a value of type T. */
export function scalar<T>(form: ScalarForm<T>) {
  const { allowed, conceal } = form;
  const says = `${form.not}:`;
  return z
    .string({ error: packWording({ says, allowed, conceal: conceal !== undefined }) })
    .meta({ ...form.schema })
    .transform((text, context): T => {
      const reading = form.read(text);
      if (reading !== undefined && 'value' in reading) return reading.value;
      const better = reading === undefined ? says : `${reading.mistake}:`;
      context.addIssue({
        code: 'custom',
        message: packWording({ says: better, allowed, conceal: conceal?.(text) }),
      });
      return z.NEVER;
    });
}

/** A mapping with exactly these keys. */
export function section<S extends z.ZodRawShape>(shape: S) {
  const keys = Object.keys(shape);
  const unknown = packWording({ says: 'unknown key:', among: keys, allowed: keys.join(', ') });
  const wrong = packWording({ says: 'not a mapping:', allowed: `the keys ${keys.join(', ')}` });
  return z.strictObject(shape, { error: ({ code }) => (code === 'unrecognized_keys' ? unknown : wrong) });
}

/** A mapping of which exactly one group of keys is given, whole. */
export function alternatives<S extends z.ZodRawShape>(
  shape: S,
  groups: readonly (readonly (keyof S & string)[])[],
) {
  const says = `needs exactly one of: ${groups.map((group) => group.join(' with ')).join(', ')}`;
  return section(shape)
    .superRefine((value, context) => {
      const has = (key: string) => (value as Record<string, unknown>)[key] !== undefined;
      const given = groups.filter((group) => group.some(has));
      if (given.length !== 1 || given[0]?.every(has) !== true)
        context.addIssue({ code: 'custom', message: packWording({ says }) });
    })
    .meta({ oneOf: groups.map((group) => ({ required: [...group] })) });
}

/** A mapping with free keys, of which each must match. */
export function mapping<V extends z.ZodType>(
  key: { not: string; allowed: string; pattern: RegExp },
  value: V,
) {
  const wrongKey = packWording({ says: `${key.not}:`, allowed: key.allowed });
  const wrong = packWording({ says: 'not a mapping:', allowed: 'one "name: value" a line' });
  return z.record(z.string().regex(key.pattern, { error: wrongKey }), value, { error: wrong });
}

/** A list. */
export function list<V extends z.ZodType>(value: V, least = 0) {
  const wrong = packWording({ says: 'not a list:', allowed: 'one "- entry" a line, or [entry, entry]' });
  return z.array(value, { error: wrong }).min(least, {
    error: packWording({ says: `needs at least ${least === 1 ? 'one entry' : `${least} entries`}` }),
  });
}

/** One value or a list of them; always a list afterwards. */
export function oneOrMany<V extends z.ZodType>(value: V) {
  return z
    .union([value, list(value, 1)])
    .transform((given): z.output<V>[] => (Array.isArray(given) ? (given as z.output<V>[]) : [given]));
}

/** One of a few words. */
export function choice<const V extends string>(values: readonly V[]) {
  const error = packWording({ says: 'not a possible value:', among: values, allowed: values.join(', ') });
  return z.enum(values, { error });
}

/** A whole number between two others. */
export function wholeNumber(least: number, most: number) {
  const error = packWording({
    says: 'not a possible number:',
    allowed: `whole numbers from ${least} to ${most}`,
  });
  return z.int({ error }).min(least, { error }).max(most, { error });
}

/** `true` or `false`, off unless it is set. */
export function flag(meaning: string) {
  return z
    .boolean({ error: packWording({ says: 'neither true nor false:', allowed: 'true, false' }) })
    .prefault(false)
    .describe(`${meaning} Default false.`);
}
