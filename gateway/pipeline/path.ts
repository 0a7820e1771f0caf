import { GatewayError } from '../core/gateway-error.ts';

/** A request target taken apart and found unambiguous. */
export interface CheckedTarget {
  /** Percent-decoded path: what rules match and what any upstream will read. */
  readonly path: string;
  /** Query text without the question mark; empty when there is none. */
  readonly search: string;
}

const BAD = 0;
const PLAIN = 1;
const SLASH = 2;
const DOT = 3;
const PERCENT = 4;

/** What each byte of a path may be: visible ASCII without backslash and the delimiters that end a path. */
const CLASS = classesOfBytes();

/**
 * Checks that a request target means the same to everybody who reads it (RFC 3986 section 6.2.2, OWASP path
 * traversal): no `//`, no dot segments, no backslash, no encoded slash, dot, backslash, control byte or percent of
 * those, no bytes that are not UTF-8.
 *
 * @throws GatewayError `bad_path`.
 */
export function checkTarget(target: string): CheckedTarget {
  const question = target.indexOf('?');
  const end = question === -1 ? target.length : question;
  if (target.charCodeAt(0) !== 0x2f) throw refuse('the target is not an absolute path');
  const isEncoded = walk(target, end);
  const search = question === -1 ? '' : target.slice(question + 1);
  if (search !== '') checkSearch(search);
  const raw = question === -1 ? target : target.slice(0, end);
  return { path: isEncoded ? decode(raw) : raw, search };
}

/** @returns whether the path holds percent escapes. */
function walk(target: string, end: number): boolean {
  let isEncoded = false;
  let segmentStart = 1;
  let hasDots = false;
  for (let i = 1; i <= end; i++) {
    const code = i === end ? 0x2f : target.charCodeAt(i);
    const kind = code < 128 ? CLASS[code] : BAD;
    if (kind === BAD) throw refuse('the path holds a forbidden character');
    if (kind === PERCENT) isEncoded = true;
    else if (kind === DOT) hasDots = true;
    else if (kind === SLASH) {
      if (i === segmentStart && i < end) throw refuse('the path holds "//"');
      if (hasDots) checkDots(target.slice(segmentStart, i));
      segmentStart = i + 1;
      hasDots = false;
    }
  }
  return isEncoded;
}

/** Some servers cut path parameters off before they resolve dots, so `..;x` counts as `..`. */
function checkDots(segment: string): void {
  const semicolon = segment.indexOf(';');
  const bare = semicolon === -1 ? segment : segment.slice(0, semicolon);
  if (bare === '.' || bare === '..') throw refuse('the path holds a dot segment');
}

function checkSearch(search: string): void {
  for (let i = 0; i < search.length; i++) {
    const code = search.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || code === 0x23) throw refuse('the query holds a forbidden character');
  }
}

const ESCAPE = /%(.{0,2})/gs;
const ENCODED_TWICE = /%(?:[01][0-9a-f]|7f|2e|2f|5c|25)/i;
const DANGEROUS = /^(?:[01][0-9a-f]|7f|2e|2f|5c)$/i;

function decode(raw: string): string {
  for (const [, digits = ''] of raw.matchAll(ESCAPE)) {
    if (!/^[0-9a-f]{2}$/i.test(digits)) throw refuse('the path holds a broken percent escape');
    if (DANGEROUS.test(digits)) throw refuse(`the path holds %${digits}`);
  }
  const path = decodeOnce(raw);
  // A second decoding, as some upstreams do, must not find what the first one hid.
  if (ENCODED_TWICE.test(path)) throw refuse('the path is encoded twice');
  return path;
}

function decodeOnce(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    throw new GatewayError('bad_path', 'the path is not UTF-8', { cause: error });
  }
}

function refuse(message: string): GatewayError {
  return new GatewayError('bad_path', message);
}

function classesOfBytes(): Uint8Array {
  const classes = new Uint8Array(128);
  classes.fill(PLAIN, 0x21, 0x7f);
  for (const character of '\\#?') classes[character.charCodeAt(0)] = BAD;
  classes[0x2f] = SLASH;
  classes[0x2e] = DOT;
  classes[0x25] = PERCENT;
  return classes;
}
