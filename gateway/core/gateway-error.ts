/** One failure: the status and public title a client sees. The log message is the error's own. */
interface Problem {
  readonly status: number;
  readonly title: string;
}

/**
 * Every code that a client can meet, with its HTTP status (RFC 9110) and public title (RFC 9457 `title`).
 * `gateway/pipeline/README.md` documents each one, and a test says so.
 */
export const PROBLEMS = {
  bad_request: { status: 400, title: 'The request is malformed' },
  bad_path: { status: 400, title: 'The path is ambiguous' },
  bad_host: { status: 400, title: 'The host is missing or malformed' },
  bad_cookie: { status: 400, title: 'The session cookie was sent more than once' },
  session_required: { status: 401, title: 'Sign in to continue' },
  session_ended: { status: 401, title: 'The session has ended; sign in again' },
  key_missing: { status: 401, title: 'An API key is required' },
  key_malformed: { status: 401, title: 'The API key is malformed' },
  key_unknown: { status: 401, title: 'The API key is not known' },
  key_expired: { status: 401, title: 'The API key has expired' },
  key_revoked: { status: 401, title: 'The API key was revoked' },
  key_rotated: { status: 401, title: 'The API key was replaced by a newer one' },
  key_held: { status: 401, title: 'The API key is on hold for review' },
  key_scope: { status: 403, title: 'The API key is not for this' },
  key_network: { status: 403, title: 'The API key is not for this network' },
  account_mismatch: { status: 403, title: 'This session or API key is of another account' },
  route_denied: { status: 403, title: 'No rule allows this request' },
  certificate_missing: { status: 403, title: 'A client certificate is required' },
  certificate_expired: { status: 403, title: 'The client certificate has expired' },
  certificate_refused: { status: 403, title: 'The client certificate opens nothing here' },
  signal_unsigned: { status: 401, title: 'The signal is not signed, or not with the key of this region' },
  signal_stale: { status: 401, title: 'The time stamp of the signal is too old or in the future' },
  cross_site: { status: 403, title: 'Requests from other sites are refused' },
  not_found: { status: 404, title: 'Nothing is here' },
  account_unknown: { status: 404, title: 'No account answers under this name' },
  region_unknown: { status: 404, title: 'No region under this name takes signals' },
  method_refused: { status: 405, title: 'The method is not allowed' },
  key_not_due: { status: 409, title: 'The API key is not due for rotation yet' },
  signal_replayed: { status: 409, title: 'The signal was received before' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  body_too_large: { status: 413, title: 'The request body is too large' },
  signal_unknown: { status: 422, title: 'No such signal is known' },
  upgrade_refused: { status: 426, title: 'Only WebSocket upgrades are possible' },
  sign_in_blocked: { status: 429, title: 'Too many sign-ins failed; try again later' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The request headers are too large' },
  internal: { status: 500, title: 'The gateway failed' },
  backup_failed: { status: 500, title: 'The backup failed' },
  backup_invalid: { status: 500, title: 'The backup is not what was written' },
  restore_refused: { status: 500, title: 'The restore was refused' },
  upstream_failed: { status: 502, title: 'The application did not answer properly' },
  upstream_unreachable: { status: 503, title: 'The application cannot be reached' },
  upstream_busy: { status: 503, title: 'The application has more to do than it can; try again shortly' },
  no_primary: { status: 503, title: 'Changes cannot be made at the moment; try again shortly' },
  store_unavailable: { status: 503, title: 'The session store cannot be reached; try again shortly' },
  admin_untrusted: { status: 503, title: 'The administrators cannot be established' },
  audit_unavailable: { status: 503, title: 'The audit trail cannot be written; nothing was done' },
  overloaded: { status: 503, title: 'The gateway has too much to do; try again shortly' },
  draining: { status: 503, title: 'The gateway is restarting; try again shortly' },
  upstream_timeout: { status: 504, title: 'The application took too long to answer' },
} as const satisfies Record<string, Problem>;

/** A code from {@link PROBLEMS}. */
export type ProblemCode = keyof typeof PROBLEMS;

/** Extra facts that the answer to a failure needs. */
interface FailureOptions {
  readonly cause?: unknown;
  /** Seconds for a `Retry-After` header. */
  readonly retryAfterSeconds?: number;
}

/**
 * The one error class of the gateway: a code for the client, a message for the operator's log.
 * The message never reaches a client; it must not hold a secret either, because logs outlive secrets.
 */
export class GatewayError extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly title: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ProblemCode, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.status = PROBLEMS[code].status;
    this.title = PROBLEMS[code].title;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
