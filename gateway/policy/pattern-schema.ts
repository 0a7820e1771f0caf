import { GLOB_FORM, pathGlobMistake } from '../core/glob.ts';
import { NETWORK_FORM, networkMistake } from '../core/network.ts';
import { type Reading, scalar } from './wording.ts';

/** The form of a header's name (RFC 9110 section 5.1). */
export const HEADER_NAME = {
  not: 'not a header name',
  allowed: 'a header name such as X-Account',
  pattern: /^[!#$%&'*+.^_`|~A-Za-z0-9-]{1,128}$/,
};
/** `*` is a legal letter of a token, but in a policy it is always the glob's. */
const COOKIE_NAME = /^[!#$%&'+.^_`|~A-Za-z0-9-]{1,128}$/;

/** A glob over request paths, kept as text. */
export function pathGlob() {
  return scalar<string>({
    not: 'not a path',
    allowed: GLOB_FORM,
    read: (text) => {
      const mistake = pathGlobMistake(text);
      if (mistake !== undefined) return { mistake };
      return isVisible(text) ? { value: text } : { mistake: 'a path holds no control characters' };
    },
    schema: { pattern: '^/', examples: ['/login', '/api/**', '/core/ajax/poll*'] },
  });
}

/** A glob over any text, kept as text. */
export function textGlob(what: string) {
  return scalar<string>({
    not: `not ${what}`,
    allowed: 'text, in quotes if it looks like a number; * stands for anything, letter case counts',
    read: (text) => (isVisible(text) ? keep(text) : { mistake: 'the text holds control characters' }),
  });
}

/** As {@link textGlob}, but `!` in front turns the meaning round; nothing but `!` means nothing. */
export function negatableGlob(what: string) {
  return scalar<string>({
    not: `not ${what}`,
    allowed:
      'text, in quotes if it looks like a number; * stands for anything; ! in front: anything but this',
    read: (text) => {
      if (!isVisible(text)) return { mistake: 'the text holds control characters' };
      return text === '' || text === '!' ? { mistake: 'there is no text' } : keep(text);
    },
  });
}

/** Text of one line or several, as it is looked for in a page. */
export function plainText(what: string) {
  return scalar<string>({
    not: `not ${what}`,
    allowed: 'text, in quotes if it looks like a number',
    read: (text) => (text === '' ? { mistake: 'there is no text' } : keep(text)),
  });
}

/** A glob over cookie names. */
export function cookieGlob() {
  return scalar<string>({
    not: 'not a cookie name',
    allowed: 'a cookie name; * stands for anything, and "*" alone for all',
    read: (text) =>
      COOKIE_NAME.test(text.replaceAll('*', '') || 'x') && text !== '' ? keep(text) : undefined,
    schema: { examples: ['PHPSESSID', 'login_*', '*'] },
  });
}

/** The name of a header, in lower case afterwards. */
export function headerName() {
  return scalar<string>({
    ...HEADER_NAME,
    read: (text) => (HEADER_NAME.pattern.test(text) ? keep(text.toLowerCase()) : undefined),
  });
}

/** A host name with `*`, in lower case afterwards. */
export function hostGlob() {
  return scalar<string>({
    not: 'not a host',
    allowed: 'a host name without port; * stands for anything: "*.crm.example"',
    read: (text) => (/^[A-Za-z0-9.*_-]{1,253}$/.test(text) ? keep(text.toLowerCase()) : undefined),
  });
}

/** A request method. */
export function methodName() {
  return scalar<string>({
    not: 'not a method',
    allowed: 'a method in capitals: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
    read: (text) => (/^[A-Z][A-Z-]{1,31}$/.test(text) ? keep(text) : undefined),
    schema: { pattern: '^[A-Z][A-Z-]{1,31}$', examples: ['GET', 'POST'] },
  });
}

/** An address or CIDR, kept as text. */
export function network(options: { isTrusted?: boolean } = {}) {
  return scalar<string>({
    not: 'not a network',
    allowed: NETWORK_FORM,
    read: (text) => {
      const mistake = networkMistake(text);
      if (mistake !== undefined) return { mistake };
      const isEverybody = options.isTrusted === true && text.endsWith('/0');
      return isEverybody ? { mistake: 'this would believe everybody' } : keep(text);
    },
  });
}

function keep(text: string): Reading<string> {
  return { value: text };
}

function isVisible(text: string): boolean {
  return !/\p{Cc}/u.test(text);
}
