import type { AccountRule } from '../policy/policy.ts';

const ACCOUNT_NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/i;
const NOT_ALPHANUMERIC = /[^a-z0-9]/g;

/**
 * How many headers of a request an upstream may take for this one: CGI-like ones read `X_Account` as `X-Account`.
 *
 * @param name lower case.
 */
export function countSpellings(rawHeaders: readonly string[], name: string): number {
  const wanted = name.replaceAll(NOT_ALPHANUMERIC, '-');
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] ?? '';
    if (given.length === name.length && given.toLowerCase().replaceAll(NOT_ALPHANUMERIC, '-') === wanted)
      count++;
  }
  return count;
}

/**
 * Finds the account (tenant) that a request is for.
 *
 * @param host lower case, no port.
 * @param header reads a request header by its lower-case name.
 * @returns the account, or `undefined` when the request names none that could exist.
 */
export function findAccount(
  rule: AccountRule,
  host: string,
  header: (name: string) => string | undefined,
): string | undefined {
  switch (rule.kind) {
    case 'single':
      return rule.account;
    case 'host': {
      if (!host.startsWith(rule.prefix) || !host.endsWith(rule.suffix)) return undefined;
      const name = host.slice(rule.prefix.length, host.length - rule.suffix.length);
      return ACCOUNT_NAME.test(name) ? name : undefined;
    }
    case 'header': {
      const name = header(rule.header);
      return name !== undefined && ACCOUNT_NAME.test(name) ? name : undefined;
    }
  }
}
