import { isIP } from 'node:net';

import { parseSecretReference, SECRET_FORM, type SecretReference } from '../config/secret-reference.ts';
import { isAgeRecipient } from './age-recipient.ts';
import { scalar } from './wording.ts';

/** The form of an account's name, as keys of `routing.home.accounts` too. */
export const ACCOUNT_NAME = {
  not: 'not an account name',
  allowed: 'letters, digits, - and _, 63 at most, beginning and ending with a letter or digit',
  pattern: /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/,
};

/** The form of the names that an operator gives: of limits, routes, administrators, backup sources. */
export const PLAIN_NAME = {
  not: 'not a name',
  allowed: 'letters, digits, spaces, dots, - and _, 64 at most, beginning with a letter or digit',
  pattern: /^[\p{L}\p{N}](?:[\p{L}\p{N} ._-]{0,62}[\p{L}\p{N}])?$/u,
};

/** A text that matches a pattern as it stands. */
export function word(form: { not: string; allowed: string; pattern: RegExp }) {
  const { not, allowed, pattern } = form;
  return scalar<string>({ not, allowed, read: (text) => (pattern.test(text) ? { value: text } : undefined) });
}

/** A page of the CRM: a path, perhaps with a query. */
export function pagePath() {
  return word({
    not: 'not a path of a page',
    allowed: 'a path from "/", with a query if needed: /login, /doku.php?do=login',
    pattern: /^\/(?![/\\])[\x21-\x7e]*$/,
  });
}

/** A region's id: it stands in metrics, logs and commands. */
export function regionId() {
  return word({
    not: 'not a region id',
    allowed: 'lower-case letters, digits and -, 32 at most',
    pattern: /^[a-z0-9][a-z0-9-]{0,31}$/,
  });
}

/** Where a secret is. The secret itself is refused, and never repeated in a message. */
export function secret() {
  return scalar<SecretReference>({
    not: 'not a reference to a secret (the secret itself never stands in a policy)',
    allowed: SECRET_FORM,
    conceal: () => true,
    read: (text) => {
      const value = parseSecretReference(text);
      return value === undefined ? undefined : { value };
    },
    schema: { pattern: '^(file|env|credential):', examples: ['file:var/master.key', 'env:ZASOV_MASTER_KEY'] },
  });
}

/** A path of this machine; relative ones count from the directory in which the gateway was started. */
export function filePath(what: string) {
  return scalar<string>({
    not: `not ${what}`,
    allowed: 'the path of a file or directory, from the directory in which the gateway is started',
    conceal: () => true,
    read: (text) => {
      if (text.includes('-----BEGIN')) return { mistake: 'the key itself never stands in a policy' };
      return text === '' || /\p{Cc}/u.test(text) ? undefined : { value: text };
    },
  });
}

/** An origin (`http://127.0.0.1:9101`), brought to its normal form. */
export function origin() {
  return scalar<string>({
    not: 'not the origin of a node',
    allowed: 'scheme, host and port without a path: http://127.0.0.1:9101, https://crm-1.internal',
    conceal: hasCredentials,
    read: (text) => {
      const read = readUrl(text, ['http:', 'https:']);
      return read?.pathname === '/' && read.search === '' ? { value: read.origin } : undefined;
    },
    schema: { pattern: '^https?://', examples: ['http://127.0.0.1:9101'] },
  });
}

/** A URL without a name and password in it: those are secrets. */
export function url(schemes: readonly string[], example: string) {
  return scalar<string>({
    not: 'not a URL that may stand here',
    allowed: `${schemes.map((scheme) => `${scheme}//…`).join(' or ')} without name and password: ${example}`,
    conceal: hasCredentials,
    read: (text) => {
      const read = readUrl(text, schemes);
      return read === undefined ? undefined : { value: read.href };
    },
  });
}

function hasCredentials(text: string): boolean {
  return text.includes('@');
}

function readUrl(text: string, schemes: readonly string[]): URL | undefined {
  const read = /^\S+$/.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (read === undefined || !schemes.includes(read.protocol) || read.host === '') return undefined;
  return read.username === '' && read.password === '' && read.hash === '' ? read : undefined;
}

/** A name and a port: `msk-db:22`, `[2001:db8::1]:6379`. */
export function hostPort() {
  return scalar<string>({
    not: 'not a host and port',
    allowed: 'host:port, such as msk-db:22',
    read: (text) => {
      const match = /^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(text);
      const port = Number(match?.[1] ?? 0);
      return port >= 1 && port <= 65_535 ? { value: text } : undefined;
    },
  });
}

/** An address to listen on. */
export function listenAddress() {
  return scalar<string>({
    not: 'not an address',
    allowed: 'an IP address of this machine, 0.0.0.0 or :: for all of them, or localhost',
    read: (text) =>
      (isIP(text) !== 0 && !text.includes('%')) || text === 'localhost' ? { value: text } : undefined,
  });
}

/** A host that a certificate is for, in lower case afterwards. */
export function certificateHost() {
  return scalar<string>({
    not: 'not a host of a certificate',
    allowed: 'a host name, one with "*." in front, or an IP address',
    read: (text) => {
      const isName =
        /^(?:\*\.)?(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*$/.test(text) && text.length <= 253;
      return isName || isIP(text) !== 0 ? { value: text.toLowerCase() } : undefined;
    },
  });
}

/** A host name or address, without a port. */
export function hostName() {
  return word({
    not: 'not a host name',
    allowed: 'a host name or an IP address, without a port: node.crm.internal',
    pattern: /^[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$/,
  });
}

/** SHA-256 of a certificate's public key; 64 hexadecimal digits in lower case afterwards. */
export function fingerprint() {
  return scalar<string>({
    not: "not a certificate's fingerprint",
    allowed: '"sha256:" and 64 hexadecimal digits, with or without colons',
    read: (text) => {
      const digits = text.startsWith('sha256:') ? text.slice(7).replaceAll(':', '').toLowerCase() : '';
      return /^[0-9a-f]{64}$/.test(digits) ? { value: digits } : undefined;
    },
    schema: { pattern: '^sha256:[0-9A-Fa-f:]{64,95}$' },
  });
}

/** Somebody whom backups are encrypted to. */
export function ageRecipient() {
  return scalar<string>({
    not: 'not an age recipient',
    allowed: 'a public key as age-keygen prints it: age1… or age1pq1…, with its checksum',
    conceal: () => true,
    read: (text) => {
      if (text.toUpperCase().startsWith('AGE-SECRET-KEY-'))
        return {
          mistake:
            'this is a private key: take it out of here and make a new one; a policy names public keys',
        };
      return isAgeRecipient(text) ? { value: text } : undefined;
    },
    schema: { pattern: '^age1(pq1[02-9ac-hj-np-z]{1952}|[02-9ac-hj-np-z]{58})$' },
  });
}
