/** The longest credential that is kept, in characters. */
const LONGEST = 4096;

/**
 * Whether a text may be sent as the value of a header: visible ASCII, with spaces inside only (RFC 9110 section 5.5). A
 * line break would begin another header.
 */
export function isHeaderValue(text: string): boolean {
  return text.length <= LONGEST && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}
