/** What stands in a log where something was taken out. ASCII: one wider character makes a whole line dearer to write. */
const GONE = '***';

const URL_OR_TARGET = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+|\/[^\s"'<>?]*\?[^\s"'<>]+/gi;
const SECRET_HEADER_LINE = /\b((?:set-|proxy-)?(?:cookie|authorization))\b(["']?\s*[:=])[^\r\n]*/gi;
const NAMED_SECRET =
  /([\w.-]*(?:cookie|api[_-]?key|token|secret|passw(?:or)?d|pwd|credential|csrf)[\w.-]*)(["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s&;,"']+)/gi;
const KEY_PARAMETER = /\b([\w-]*key)=[^\s&;,"']+/gi;
const SCHEME_CREDENTIAL = /\b(bearer|basic|digest|negotiate)\s+\S{6,}/gi;
const LONG_RUN = /[A-Za-z0-9_~+=-]{16,}/g;
/** Ordinary base64, whose slashes would cut it into short runs; paths rarely change case in mid-word. */
const BASE64_RUN = /[A-Za-z0-9+/]{20,}={0,2}/g;
const QUERY_NAME = /^[A-Za-z_][\w.[\]%-]{0,31}$/;
const QUERY_NAMES_LIMIT = 20;
const EQUALS_SIGN = 61;
const SCAN_LIMIT = 8192;

/**
 * Takes secrets out of free text: the values of cookies, credentials and queries, and whatever looks drawn at random,
 * named or not. It is the last net; what is known to be secret must not be put into a text at all.
 */
export function scrubText(text: string): string {
  return text
    .slice(0, SCAN_LIMIT)
    .replaceAll(SECRET_HEADER_LINE, `$1$2 ${GONE}`)
    .replaceAll(URL_OR_TARGET, scrubUrl)
    .replaceAll(NAMED_SECRET, `$1$2${GONE}`)
    .replaceAll(KEY_PARAMETER, `$1=${GONE}`)
    .replaceAll(SCHEME_CREDENTIAL, `$1 ${GONE}`)
    .replaceAll(BASE64_RUN, (run) => (isMixedCase(run) && classChanges(run) >= 0.35 ? GONE : run))
    .replaceAll(LONG_RUN, scrubRun);
}

/** A path for the log: random-looking segments, such as the token of a password reset, are taken out. */
export function scrubPath(path: string): string {
  return path.length < 16 ? path : path.slice(0, SCAN_LIMIT).replaceAll(LONG_RUN, scrubRun);
}

/**
 * A query for the log: names without values, `?page=***&sort=***`. What is no plain name (a bare token after the `?`) is
 * taken for a value.
 *
 * @param search with or without its `?`; empty stays empty.
 */
export function scrubQuery(search: string): string {
  if (search === '' || search === '?') return '';
  const text = search.startsWith('?') ? search.slice(1, SCAN_LIMIT) : search.slice(0, SCAN_LIMIT);
  let shown = '';
  let start = 0;
  for (let count = 0; start <= text.length; count += 1) {
    if (count === QUERY_NAMES_LIMIT) return `?${shown}&${GONE}`;
    const ampersand = text.indexOf('&', start);
    const end = ampersand === -1 ? text.length : ampersand;
    shown = `${shown}${count === 0 ? '' : '&'}${scrubParameter(text.slice(start, end))}`;
    start = end + 1;
  }
  return `?${shown}`;
}

/** Names that were found to be plain, as they are shown with a value; an application has few and sends them always. */
const plainNames = new Map<string, string>();
const PLAIN_NAMES_LIMIT = 512;

function scrubParameter(parameter: string): string {
  const equals = parameter.indexOf('=');
  if (equals === -1) return isPlainName(parameter, false) ? parameter : GONE;
  const name = parameter.slice(0, equals);
  // The padding of base64 is no value.
  const hasValue = parameter.length > equals + 1 && parameter.charCodeAt(equals + 1) !== EQUALS_SIGN;
  const known = hasValue ? plainNames.get(name) : undefined;
  if (known !== undefined) return known;
  if (!isPlainName(name, /[^=]/.test(parameter.slice(equals + 1)))) return GONE;
  const shown = `${name}=${GONE}`;
  if (hasValue && plainNames.size < PLAIN_NAMES_LIMIT) plainNames.set(name, shown);
  return shown;
}

/** A name without a value may be a secret by itself. */
function isPlainName(name: string, hasValue: boolean): boolean {
  return QUERY_NAME.test(name) && (hasValue || name.length <= 12) && !looksRandom(name);
}

function scrubUrl(url: string): string {
  const withoutFragment = url.split('#', 1)[0] ?? '';
  const question = withoutFragment.indexOf('?');
  const base = question === -1 ? withoutFragment : withoutFragment.slice(0, question);
  const query = question === -1 ? '' : scrubQuery(withoutFragment.slice(question));
  return base.replace(/^([^/]*\/\/)[^/@]*@/, `$1${GONE}@`) + query;
}

function scrubRun(run: string): string {
  return looksRandom(run) ? GONE : run;
}

/**
 * Whether 16 or more characters look drawn at random. Text in one case is random when a stretch of more than twelve
 * mixes digits and letters (so that UUIDs, slugs and dates stay readable); text in both cases when its characters
 * change class more often than words and camelCase do.
 */
function looksRandom(run: string): boolean {
  if (run.length < 16) return false;
  if (isMixedCase(run)) return classChanges(run) >= 0.3;
  return run.split(/[-_]/).some((part) => part.length > 12 && /\d/.test(part) && /[A-Za-z]/.test(part));
}

function isMixedCase(run: string): boolean {
  return /[a-z]/.test(run) && /[A-Z]/.test(run);
}

/** The share of neighbours that are of different classes: lower case, upper case, digit, other. */
function classChanges(run: string): number {
  let changes = 0;
  let last = -1;
  for (let index = 0; index < run.length; index += 1) {
    const kind = characterClass(run.charCodeAt(index));
    if (last !== -1 && kind !== last) changes += 1;
    last = kind;
  }
  return changes / (run.length - 1);
}

function characterClass(code: number): number {
  if (code >= 97 && code <= 122) return 0;
  if (code >= 65 && code <= 90) return 1;
  return code >= 48 && code <= 57 ? 2 : 3;
}
