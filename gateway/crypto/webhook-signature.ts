import { createHmac, timingSafeEqual } from 'node:crypto';

const SECRET_PREFIX = 'whsec_';
const VERSION = 'v1,';
/** A sender that changes its secret signs with the old and the new one; nobody needs more than a few. */
const MOST_SIGNATURES = 16;

/** What a signature of Standard Webhooks 1.0 covers. */
export interface SignedMessage {
  /** `webhook-id`. */
  readonly id: string;
  /** `webhook-timestamp`: seconds since the epoch, as it was sent. */
  readonly timestamp: string;
  readonly body: Uint8Array | string;
}

/**
 * The key of a secret: `whsec_` and base64, as Standard Webhooks writes it, or any other text, whose bytes are then
 * the key.
 */
export function webhookKey(secret: string): Buffer {
  return secret.startsWith(SECRET_PREFIX)
    ? Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64')
    : Buffer.from(secret);
}

/** The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`. */
export function signWebhook(key: Uint8Array, message: SignedMessage): string {
  const { id, timestamp, body } = message;
  const digest = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body);
  return VERSION + digest.digest('base64');
}

/**
 * Whether one of the signatures of a `webhook-signature` header is right. It compares in constant time and says nothing
 * of the age of the message or of whether it came before: that is the caller's to judge.
 *
 * @param header signatures with a space between them; those of other versions are passed over.
 */
export function verifyWebhook(key: Uint8Array, message: SignedMessage, header: string): boolean {
  const expected = Buffer.from(signWebhook(key, message));
  let isRight = false;
  for (const signature of header.split(' ', MOST_SIGNATURES)) {
    const given = Buffer.from(signature);
    if (given.length === expected.length && timingSafeEqual(given, expected)) isRight = true;
  }
  return isRight;
}
