import { stripVTControlCharacters } from 'node:util';

/** White space of any kind, and what a terminal or a reader of logs would obey rather than show. */
const UNSHOWN = /[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/**
 * A text that somebody else has written, fit for a line of a log or of a terminal: escape sequences are gone, and line
 * breaks, control and direction characters are a space.
 *
 * @param most characters; of a longer text the end is left, where programs say what went wrong.
 */
export function printable(text: string, most: number): string {
  const line = stripVTControlCharacters(text).replaceAll(UNSHOWN, ' ').trim();
  return line.length <= most ? line : `…${line.slice(-most).toWellFormed()}`;
}
