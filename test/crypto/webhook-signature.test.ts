import { test } from 'tap';

import { signWebhook, verifyWebhook, webhookKey } from '../../gateway/crypto/webhook-signature.ts';

/** The example of the Standard Webhooks specification. */
const KEY = webhookKey('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
const MESSAGE = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: '1614265330',
  body: '{"test": 2432232314}',
};
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

await test('the vector of the Standard Webhooks specification is signed and verified', async (t) => {
  t.equal(signWebhook(KEY, MESSAGE), SIGNATURE);
  t.ok(verifyWebhook(KEY, MESSAGE, SIGNATURE));
  t.ok(verifyWebhook(KEY, { ...MESSAGE, body: Buffer.from(MESSAGE.body) }, SIGNATURE));
});

await test('one right signature among several is enough, and other versions are passed over', async (t) => {
  const wrong = `v1,${Buffer.alloc(32).toString('base64')}`;
  t.ok(verifyWebhook(KEY, MESSAGE, `${wrong} v1a,AAAA ${SIGNATURE}`));
  t.notOk(verifyWebhook(KEY, MESSAGE, `${wrong} ${SIGNATURE.replace('v1,', 'v2,')}`));
  t.notOk(
    verifyWebhook(KEY, MESSAGE, `${`${wrong} `.repeat(40)}${SIGNATURE}`),
    'nobody makes it count for ever',
  );
});

await test('whatever is signed cannot be changed', async (t) => {
  t.notOk(verifyWebhook(KEY, { ...MESSAGE, id: `${MESSAGE.id}x` }, SIGNATURE));
  t.notOk(verifyWebhook(KEY, { ...MESSAGE, timestamp: '1614265331' }, SIGNATURE));
  t.notOk(verifyWebhook(KEY, { ...MESSAGE, body: `${MESSAGE.body} ` }, SIGNATURE));
  t.notOk(verifyWebhook(webhookKey('whsec_AAAA'), MESSAGE, SIGNATURE));
  for (const header of ['', 'v1', 'v1,', SIGNATURE.slice(3), SIGNATURE.slice(0, -8), `${SIGNATURE}AAAA`])
    t.notOk(verifyWebhook(KEY, MESSAGE, header), header);
});

await test('a secret without the prefix is a key as it is', async (t) => {
  t.same(webhookKey('any text'), Buffer.from('any text'));
});
