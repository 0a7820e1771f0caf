import type { IncomingHttpHeaders } from 'node:http';

/** One link as browsers and Node read it (RFC 8288 section 3): a reference and parameters without white space. */
const LINK = /^<[^>\s]*>(?:\s*;\s*[^;"\s]+(?:=(")?[^;"\s]*\1)?)*$/;
const SEPARATOR = /,(?=\s*<)/;

/**
 * The links of a 103 answer (RFC 8297), one to an element. An interim answer is a hint, so what is malformed is left
 * out and spoils nothing.
 *
 * @param headers flat names and values.
 */
export function earlyHints(headers: readonly string[]): string[] {
  const links: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'link') links.push(...(headers[i + 1] ?? '').split(SEPARATOR));
  }
  return links.map((link) => link.trim()).filter((link) => LINK.test(link));
}

/** The links of an early hint (RFC 8297), flat. */
export function linkHeaders(headers: IncomingHttpHeaders): string[] {
  const link = headers['link'];
  const values = Array.isArray(link) ? link : link === undefined ? [] : [link];
  return values.flatMap((value) => ['link', value]);
}
