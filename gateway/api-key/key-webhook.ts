import { Agent } from 'undici';

import type { Clock } from '../core/clock.ts';
import { signWebhook, webhookKey } from '../crypto/webhook-signature.ts';
import type { IssuedKey, KeyNotice } from './api-key.ts';

/** Where notices of keys go, and how they are signed. */
export interface KeyWebhookOptions {
  readonly url: string;
  /** `whsec_` and base64 as Standard Webhooks writes it, or any other text, whose bytes are then the key. */
  readonly secret: string;
  readonly clock: Clock;
}

/** Tells another program what happened to keys. */
export interface KeyWebhook {
  /**
   * Sends one notice, once. Who calls it sees to repetition: the receiver tells repeated ones by `webhook-id`.
   *
   * @param successor the new key, when the notice tells of a rotation that nobody has collected yet.
   * @returns whether the receiver took it (2xx). Never rejects.
   */
  deliver(notice: KeyNotice, successor: IssuedKey | undefined): Promise<boolean>;
  close(): Promise<void>;
}

/** A receiver that is slower than this is asked again later, and must bear to be. */
const TIMEOUT_MS = 5000;

/**
 * Makes the sender of key notices by Standard Webhooks 1.0: headers `webhook-id`, `webhook-timestamp` (seconds) and
 * `webhook-signature` (`v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`). Redirects are not followed,
 * because the body may hold a new key and belongs to the one receiver that the policy names.
 */
export function createKeyWebhook({ url, secret, clock }: KeyWebhookOptions): KeyWebhook {
  const key = webhookKey(secret);
  const { origin, pathname, search } = new URL(url);
  const agent = new Agent({
    connect: { timeout: TIMEOUT_MS },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  return {
    async deliver(notice, successor) {
      const body = JSON.stringify({
        type: notice.type,
        timestamp: new Date(notice.atMs).toISOString(),
        data: successor === undefined ? notice.data : { ...notice.data, successor },
      });
      const timestamp = String(Math.floor(clock.now() / 1000));
      try {
        const answer = await agent.request({
          origin,
          path: pathname + search,
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'webhook-id': notice.id,
            'webhook-timestamp': timestamp,
            'webhook-signature': signWebhook(key, { id: notice.id, timestamp, body }),
          },
          body,
        });
        await answer.body.dump();
        return answer.statusCode >= 200 && answer.statusCode <= 299;
      } catch {
        // Out of reach, too slow, broken off: all of it means that nobody has said that it arrived.
        return false;
      }
    },
    close: () => agent.destroy(),
  };
}
