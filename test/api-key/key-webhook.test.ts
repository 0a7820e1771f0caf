import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type Test } from 'tap';

import type { KeyNotice } from '../../gateway/api-key/api-key.ts';
import { createKeyWebhook } from '../../gateway/api-key/key-webhook.ts';
import { ManualClock } from '../support/manual-clock.ts';

const KEY = Buffer.from('0123456789abcdef0123456789abcdef');
const NOTICE: KeyNotice = {
  id: 'msg_1',
  type: 'key.rotated',
  atMs: Date.UTC(2026, 10, 24),
  data: { id: 'k1', account: 'acme', subject: 'анна' },
};
const SUCCESSOR = { id: 'k2', key: 'zsv_k2_secret', expires_at: '2027-05-24T00:00:00.000Z' };

interface Call {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function receiver(t: Test, answer: (response: ServerResponse, call: number) => void) {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      calls.push({ headers: request.headers, body });
      answer(response, calls.length);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url: `${origin}/hooks/keys?from=zasov`, calls };
}

function open(t: Test, url: string, secret = `whsec_${KEY.toString('base64')}`) {
  const clock = new ManualClock(Date.UTC(2026, 10, 24, 12));
  const webhook = createKeyWebhook({ url, secret, clock });
  t.teardown(() => webhook.close());
  return webhook;
}

/** As a receiver written from the Standard Webhooks specification does it. */
function isSigned({ headers, body }: Call, key: Buffer): boolean {
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  const expected = createHmac('sha256', key).update(signed).digest();
  const [version, text = ''] = String(headers['webhook-signature']).split(',');
  const given = Buffer.from(text, 'base64');
  return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
}

await test('a notice arrives signed, with its id, its time and the new key', async (t) => {
  const { url, calls } = await receiver(t, (response) => response.writeHead(204).end());
  t.equal(await open(t, url).deliver(NOTICE, SUCCESSOR), true);
  const [call] = calls;
  if (call === undefined) return t.fail('nothing arrived');
  t.ok(isSigned(call, KEY));
  t.notOk(isSigned(call, Buffer.from('another key')));
  t.notOk(isSigned({ ...call, body: call.body.replace('acme', 'acmf') }, KEY), 'every byte counts');
  t.match(call.headers, { 'webhook-id': 'msg_1', 'webhook-timestamp': '1795521600' });
  t.same(JSON.parse(call.body), {
    type: 'key.rotated',
    timestamp: '2026-11-24T00:00:00.000Z',
    data: { id: 'k1', account: 'acme', subject: 'анна', successor: SUCCESSOR },
  });
});

await test('a secret that is not written the Standard Webhooks way is used as it is', async (t) => {
  const { url, calls } = await receiver(t, (response) => response.end('ok'));
  t.equal(await open(t, url, 'пароль').deliver(NOTICE, undefined), true);
  t.ok(calls[0] !== undefined && isSigned(calls[0], Buffer.from('пароль')));
  t.notMatch(calls[0]?.body, /successor/);
});

await test('a notice that was not taken is not called delivered, and comes again under the same id', async (t) => {
  const answers = [500, 302, 404, 200];
  const { url, calls } = await receiver(t, (response, call) =>
    response.writeHead(answers[call - 1] ?? 200, { location: '/elsewhere' }).end(),
  );
  const webhook = open(t, url);
  for (const status of answers)
    t.equal(await webhook.deliver(NOTICE, SUCCESSOR), status === 200, `${status}`);
  t.equal(calls.length, answers.length, 'a redirect is not followed');
  t.same(new Set(calls.map(({ headers }) => headers['webhook-id'])), new Set(['msg_1']));
});

await test('a receiver that is gone, or breaks off, is not an error of the gateway', async (t) => {
  const { url } = await receiver(t, (response) => response.destroy());
  t.equal(await open(t, url).deliver(NOTICE, undefined), false);
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  t.equal(await open(t, `http://127.0.0.1:${port}/`).deliver(NOTICE, undefined), false);
});
