import { randomBytes } from 'node:crypto';

import { signWebhook, webhookKey } from '../../gateway/crypto/webhook-signature.ts';

/** What a test may say otherwise than a proper sender would. */
export interface SignalChanges {
  readonly id?: string;
  readonly atMs?: number;
  readonly key?: string;
  readonly body?: string;
  readonly signature?: string;
  readonly method?: string;
}

/** A signal on its way. */
export interface SentSignal {
  readonly url: string;
  readonly init: RequestInit;
}

/** What the gateway said to a signal. */
export interface SignalReply {
  readonly status: number;
  readonly value: { readonly code?: string; readonly state?: string; readonly recorded?: boolean };
}

/** Signs a signal as a building does. */
export function signedSignal(
  ops: string,
  region: string,
  secret: string,
  type: string,
  changes: SignalChanges = {},
): SentSignal {
  const id = changes.id ?? `msg_${randomBytes(12).toString('hex')}`;
  const timestamp = String(Math.floor((changes.atMs ?? Date.now()) / 1000));
  const body = changes.body ?? JSON.stringify({ type, region });
  const signature =
    changes.signature ?? signWebhook(webhookKey(changes.key ?? secret), { id, timestamp, body });
  return {
    url: `${ops}/.zasov/facility/${region}`,
    init: {
      method: changes.method ?? 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signature,
      },
      ...(changes.method === 'GET' ? {} : { body }),
    },
  };
}

/** Sends a signal, perhaps for the second time. */
export async function sendSignal({ url, init }: SentSignal): Promise<SignalReply> {
  const answer = await fetch(url, init);
  return { status: answer.status, value: (await answer.json()) as SignalReply['value'] };
}
