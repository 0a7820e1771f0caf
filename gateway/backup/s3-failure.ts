import { GatewayError } from '../core/gateway-error.ts';
import { type XmlElement, parseXml, textOf } from './s3-xml.ts';

/** An answer that is no success. */
export interface S3Refusal {
  readonly status: number;
  /** The service's code; empty when the answer has none, as those to HEAD. */
  readonly code: string;
  readonly region: string;
  readonly serverTime: string;
}

/** What was tried, for the message. */
export interface S3Attempt {
  /** "write zasov-….age". */
  readonly what: string;
  readonly where: string;
  readonly bucket: string;
  /** The permission that it needs, in the words of IAM. */
  readonly permission: string;
  readonly nowMs: number;
}

/** Reads a refusal. The service's own message stays out: it may repeat what was signed. */
export function readRefusal(status: number, text: string, date: string): S3Refusal {
  const error = errorElement(text);
  const code = textOf(error, 'Code');
  return {
    status,
    code: /^\w{1,64}$/.test(code) ? code : '',
    region: plain(textOf(error, 'Region')),
    serverTime: plain(textOf(error, 'ServerTime')) || plain(date),
  };
}

function errorElement(text: string): XmlElement | undefined {
  if (text === '') return undefined;
  try {
    const root = parseXml(text);
    return root.name === 'Error' ? root : undefined;
  } catch {
    // A proxy between may answer with a page: the status says enough.
    return undefined;
  }
}

function plain(text: string): string {
  return /^[\w:,. +-]{0,64}$/.test(text) ? text : '';
}

const CAUSES: Readonly<Record<string, (attempt: S3Attempt, refusal: S3Refusal) => string>> = {
  AccessDenied: ({ permission }) =>
    `access is denied: the credentials lack ${permission}, or a rule of the bucket forbids it`,
  InvalidAccessKeyId: () => 'the service does not know the access key: look at its id',
  SignatureDoesNotMatch: () =>
    'the signature does not match: the secret of the access key is another one, or a proxy between changes requests',
  ExpiredToken: () => 'the session token has expired: give a new one',
  InvalidToken: () => 'the session token is not valid: give a new one',
  RequestTimeTooSkewed: ({ nowMs }, { serverTime }) =>
    `the clocks differ: here it is ${new Date(nowMs).toISOString()}, there ${serverTime}: set the clock that is wrong`,
  NoSuchBucket: ({ bucket }) => `there is no bucket ${bucket}: make it, or correct backup.to.s3.bucket`,
  AuthorizationHeaderMalformed: (_, { region }) =>
    region === ''
      ? 'the region is not the bucket’s'
      : `the bucket is in the region ${region}: set backup.to.s3.region`,
  PermanentRedirect: () => 'the bucket is at another endpoint: correct backup.to.s3.endpoint and region',
  TemporaryRedirect: () => 'the bucket is at another endpoint for now: try again later',
  BadDigest: () => 'the service received other bytes than were sent: the way to it is at fault',
  XAmzContentSHA256Mismatch: () =>
    'the service received other bytes than were sent: the way to it is at fault',
  QuotaExceeded: () => 'the quota of the bucket is used up: raise it, or keep fewer archives',
  InsufficientStorage: () => 'the service has no room left: make some, or keep fewer archives',
  EntityTooLarge: () => 'the service does not take so much under one name',
};
/** What a status means where the service gives no code. */
const CODES: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  307: 'TemporaryRedirect',
  403: 'AccessDenied',
  507: 'InsufficientStorage',
};

/** The failure of an answer that is no success, with what to do about it. */
export function refusalFailure(attempt: S3Attempt, refusal: S3Refusal): GatewayError {
  const code = refusal.code === '' ? CODES[refusal.status] : refusal.code;
  const cause =
    CAUSES[code ?? '']?.(attempt, refusal) ??
    `the service answers ${refusal.status}${code === undefined ? '' : ` ${code}`}`;
  return new GatewayError('backup_failed', `cannot ${attempt.what} in ${attempt.where}: ${cause}`, {
    // The code is what tells a target that is full from one that fails otherwise.
    cause: Object.assign(new Error(`the service answered ${refusal.status}`), { code }),
  });
}

const TLS = /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO)/;
/** Whatever comes from the network and may be gone at the next attempt. */
const PASSING = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

/** Whether a network error may be gone at the next attempt. */
export function isPassing(error: unknown): boolean {
  return PASSING.has(networkCode(error));
}

/** The failure of a request that got no answer. */
export function networkFailure({ what, where }: S3Attempt, error: unknown): unknown {
  const code = networkCode(error);
  if (error instanceof GatewayError || code === '') return error;
  const cause = TLS.test(code)
    ? `TLS fails (${code}): the certificate has to be valid for the host and of an authority that is known here (NODE_EXTRA_CA_CERTS), and the endpoint has to speak TLS`
    : code === 'ENOTFOUND'
      ? 'the name of its host is not known: correct backup.to.s3.endpoint, or look at DNS'
      : code.includes('TIMEOUT') || code === 'ETIMEDOUT'
        ? `it does not answer in time (${code})`
        : `it cannot be reached (${code})`;
  return new GatewayError('backup_failed', `cannot ${what} in ${where}: ${cause}`, { cause: error });
}

/** Also of an error that stands for one attempt per address of the host. */
function networkCode(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [error.cause];
  return first === undefined ? '' : networkCode(first);
}
