import { z } from 'zod';

import type { CriticalAction } from './admin.ts';

const administrator = z.strictObject({
  name: z.string().min(1).max(64),
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
});
const two = z.array(administrator).length(2);

/** What each kind of action needs to be told, and how it reads in words. */
const KINDS = {
  replace_administrators: kind(z.strictObject({ from: two, to: two }), ({ from, to }) => [
    ...from
      .filter((one) => !to.some((other) => other.fingerprint === one.fingerprint))
      .map((one) => `${one.name} (sha256:${one.fingerprint}) is no longer an administrator`),
    ...to
      .filter((one) => !from.some((other) => other.fingerprint === one.fingerprint))
      .map((one) => `${one.name} (sha256:${one.fingerprint}) becomes an administrator`),
    ...to.flatMap((one) => {
      const before = from.find((other) => other.fingerprint === one.fingerprint);
      return before === undefined || before.name === one.name
        ? []
        : [`${before.name} (sha256:${one.fingerprint}) is called ${one.name} from now on`];
    }),
  ]),
  unseal_region: kind(
    z.strictObject({ region: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/) }),
    ({ region }) => [`the sealed region ${region} opens again`],
  ),
  restore: kind(
    z.strictObject({
      archive: z.string().min(1).max(256),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
    ({ archive, sha256 }) => [
      `the state of the gateway is replaced by the backup ${archive} (sha256:${sha256})`,
    ],
  ),
  lower_protection: kind(
    z.strictObject({
      policy: z.string().regex(/^[0-9a-f]{64}$/),
      changes: z.array(z.string().min(1).max(1000)).min(1).max(1000),
    }),
    ({ policy, changes }) => [
      `the policy sha256:${policy} is put into force; it lowers:`,
      ...changes.map((each) => `  ${each}`),
    ],
  ),
};

function kind<T>(schema: z.ZodType<T>, words: (parameters: T) => string[]) {
  return {
    /** @returns the words, or `undefined` when the parameters are not what the kind needs. */
    describe: (parameters: unknown): string[] | undefined => {
      const parsed = schema.safeParse(parameters);
      return parsed.success ? words(parsed.data) : undefined;
    },
  };
}

/** Every kind of action that needs both administrators. */
export type ActionKind = keyof typeof KINDS;

/** The kinds by name. */
export const ACTION_KINDS = Object.keys(KINDS) as readonly ActionKind[];

/**
 * Says in words what an action does, from nothing but what is signed: whoever signs reads what their own machine made
 * of the payload, not what somebody sent along.
 *
 * @returns `undefined` when there is no such kind, or when its parameters are not what it needs.
 */
export function describeAction({ kind: name, parameters }: CriticalAction): string[] | undefined {
  const known = ACTION_KINDS.find((each) => each === name);
  const words = known === undefined ? undefined : KINDS[known].describe(parameters);
  // A text with line breaks or cursor movements could show somebody else's words.
  return words?.some((line) => /\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/u.test(line)) === true ? undefined : words;
}
