/** The path that the load asks for: a single-page application's data request. */
export const DATA_PATH = '/api/leads?page=2&limit=8';

/** Header fields of a Chromium `fetch()` in lower case, without host and cookie. */
export const FETCH_HEADERS: readonly (readonly [string, string])[] = [
  ['sec-ch-ua-platform', '"Windows"'],
  [
    'user-agent',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  ],
  ['accept', 'application/json'],
  ['sec-ch-ua', '"Chromium";v="140", "Not=A?Brand";v="24"'],
  ['sec-ch-ua-mobile', '?0'],
  ['sec-fetch-site', 'same-origin'],
  ['sec-fetch-mode', 'cors'],
  ['sec-fetch-dest', 'empty'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
  ['accept-language', 'ru-RU,ru;q=0.9,en;q=0.8'],
];

/** Header fields of a login form's submission. */
export function loginHeaders(origin: string, body: string): (readonly [string, string])[] {
  return [
    ...FETCH_HEADERS.filter(([name]) => !name.startsWith('sec-fetch-') && name !== 'accept'),
    ['accept', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'],
    ['origin', origin],
    ['referer', `${origin}/login`],
    ['sec-fetch-site', 'same-origin'],
    ['sec-fetch-mode', 'navigate'],
    ['sec-fetch-dest', 'document'],
    ['sec-fetch-user', '?1'],
    ['content-type', 'application/x-www-form-urlencoded'],
    ['content-length', String(Buffer.byteLength(body))],
  ];
}

/** TLS as Chromium offers it; a server that honours the client's order takes AES-128-GCM. */
export const TLS_OFFER = {
  host: '127.0.0.1',
  servername: 'localhost',
  rejectUnauthorized: false,
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
} as const;
