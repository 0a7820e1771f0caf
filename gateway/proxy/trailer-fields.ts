/**
 * Fields that must not come behind the content (RFC 9110 section 6.5.1): who reads them there could be made to change
 * its mind about the message, and some, such as cookies, are the gateway's to judge while the head can still be changed.
 */
const FORBIDDEN = new Set([
  'accept-ranges',
  'age',
  'allow',
  'alt-svc',
  'authorization',
  'cache-control',
  'clear-site-data',
  'connection',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-range',
  'content-security-policy',
  'content-security-policy-report-only',
  'content-type',
  'cookie',
  'date',
  'expect',
  'expires',
  'host',
  'keep-alive',
  'location',
  'max-forwards',
  'permissions-policy',
  'pragma',
  'range',
  'referrer-policy',
  'refresh',
  'retry-after',
  'set-cookie',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'www-authenticate',
  'x-content-type-options',
  'x-frame-options',
]);
const FORBIDDEN_PREFIX = /^(?:x-)?zasov-|^proxy-|^access-control-|^cross-origin-|^if-|^:/;
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// eslint-disable-next-line no-control-regex -- control bytes are what is looked for
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** Most trailer fields that are passed on. */
const MOST = 32;

/** Trailers by lower-case name. */
export type Trailers = Readonly<Record<string, string | string[]>>;

/** Those of an upstream's trailers that may be passed on; `undefined` when there are none. */
export function passableTrailers(
  trailers: Readonly<Record<string, string | string[] | undefined>> | undefined,
): Trailers | undefined {
  let passed: Record<string, string | string[]> | undefined;
  let count = 0;
  for (const name in trailers) {
    const value = trailers[name];
    if (value === undefined || !isPassable(name, value)) continue;
    passed ??= {};
    passed[name] = value;
    if (++count === MOST) break;
  }
  return passed;
}

function isPassable(name: string, value: string | string[]): boolean {
  if (!NAME.test(name) || FORBIDDEN.has(name) || FORBIDDEN_PREFIX.test(name)) return false;
  return typeof value === 'string' ? !BAD_VALUE.test(value) : !value.some((each) => BAD_VALUE.test(each));
}
