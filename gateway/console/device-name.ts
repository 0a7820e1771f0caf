/** A device as a person would call it. */
export interface DeviceName {
  /** `Chrome`, `Firefox`, or the name by which a program calls itself. */
  readonly browser: string;
  /** `Windows`, `iPhone`; `undefined` when the client does not say. */
  readonly system: string | undefined;
  readonly kind: 'computer' | 'phone' | 'program';
}

/** First match wins: most browsers claim to be several others. */
const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bYaBrowser\//, 'Yandex Browser'],
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|Opera)\//, 'Opera'],
  [/\bVivaldi\//, 'Vivaldi'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:HeadlessChrome|Chrome|CriOS|Chromium)\//, 'Chrome'],
  [/\bVersion\/\S+.*\bSafari\//, 'Safari'],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b|\bMacintosh\b/, 'Mac'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b|\bX11\b/, 'Linux'],
];
const PHONES = new Set(['iPhone', 'iPad', 'Android']);

/**
 * Says in words what a `User-Agent` claims (RFC 9110 section 10.1.5). A claim and no proof: it helps its owner to tell
 * the own devices apart and decides nothing.
 */
export function nameDevice(userAgent: string): DeviceName {
  const find = (names: typeof BROWSERS) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = find(BROWSERS);
  const system = find(SYSTEMS);
  if (browser === undefined) {
    const [claimed = ''] = userAgent.split('/', 1);
    return { browser: claimed.trim().slice(0, 40), system, kind: 'program' };
  }
  return { browser, system, kind: PHONES.has(system ?? '') ? 'phone' : 'computer' };
}
