import { GatewayError } from '../core/gateway-error.ts';

/** Failures of a connection that never stood: nothing of the request can have run. */
const NEVER_CONNECTED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  // A reload took the node away between the choice of it and the request.
  'UND_ERR_CLOSED',
]);

const TIMED_OUT = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']);

/** Whether the failure proves that the upstream never saw the request. */
export function neverConnected(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && NEVER_CONNECTED.has(code);
}

/** A kept connection that the upstream closed at the moment of use. */
export function isBrokenConnection(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

/** Turns what the HTTP client reports into the gateway's own error, keeping the cause for the log. */
export function upstreamFailure(error: unknown, origin: string): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = errorCode(error) ?? 'unknown';
  if (NEVER_CONNECTED.has(code)) {
    return new GatewayError('upstream_unreachable', `cannot connect to ${origin}: ${code}`, {
      cause: error,
      retryAfterSeconds: 2,
    });
  }
  if (TIMED_OUT.has(code)) {
    return new GatewayError('upstream_timeout', `${origin} took too long: ${code}`, { cause: error });
  }
  return new GatewayError('upstream_failed', `${origin} broke off: ${code}`, { cause: error });
}

function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error instanceof AggregateError) return errorCode(error.errors[0]);
  return undefined;
}
