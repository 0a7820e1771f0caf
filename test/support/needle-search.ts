import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** A text that must not be found, and what it is. */
export interface Needle {
  readonly what: string;
  readonly text: string;
}

/** Shorter ones would be found by chance. */
const SHORTEST = 6;

/** All forms of a text that a program may have put away in: as it is, in UTF-16, hexadecimal, and base64. */
function forms(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  // Base64 of a text depends on how many bytes stand before it; the characters at both ends also on their neighbours.
  const base64 = [0, 1, 2].map((before) => {
    const padded = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return padded.slice(before === 0 ? 0 : before + 1, -1);
  });
  const encoded = [...base64, ...base64.map((each) => each.replaceAll('+', '-').replaceAll('/', '_'))];
  return [
    bytes,
    Buffer.from(text, 'utf16le'),
    Buffer.from(bytes.toString('hex')),
    Buffer.from(bytes.toString('hex').toUpperCase()),
    ...encoded.map((each) => Buffer.from(each)),
  ];
}

/** @returns what was found in the bytes: `what in place`. @throws Error for a needle that is too short to mean anything. */
export function findNeedles(place: string, bytes: Buffer, needles: readonly Needle[]): string[] {
  return needles.flatMap(({ what, text }) => {
    if (text.length < SHORTEST) throw new Error(`${what} is too short to look for`);
    return forms(text).some((form) => bytes.includes(form)) ? [`${what} in ${place}`] : [];
  });
}

/** Looks through every file of a directory. @param isLeftOut by the path below the directory. */
export function searchDirectory(
  directory: string,
  needles: readonly Needle[],
  isLeftOut: (path: string) => boolean,
): { readonly found: string[]; readonly files: string[]; readonly bytes: number } {
  const found: string[] = [];
  const files: string[] = [];
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const path = relative(directory, file);
    if (!entry.isFile() || isLeftOut(path)) continue;
    files.push(path);
    bytes += statSync(file).size;
    found.push(
      ...findNeedles(path, readFileSync(file), needles),
      ...findNeedles('a file name', Buffer.from(path), needles),
    );
  }
  return { found, files, bytes };
}
