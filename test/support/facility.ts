import { randomBytes } from 'node:crypto';
import { request } from 'node:http';

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
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
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
  const key = webhookKey(changes.key ?? secret);
  return {
    url: `${ops}/.zasov/facility/${region}`,
    method: changes.method ?? 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': changes.signature ?? signWebhook(key, { id, timestamp, body }),
    },
    body: changes.method === 'GET' ? '' : body,
  };
}

/** Sends a signal, perhaps for the second time, over a connection of its own. */
export async function sendSignal({ url, method, headers, body }: SentSignal): Promise<SignalReply> {
  return await new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.once('error', reject);
      answer.once('end', () => {
        resolve({ status: answer.statusCode ?? 0, value: JSON.parse(text) as SignalReply['value'] });
      });
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
