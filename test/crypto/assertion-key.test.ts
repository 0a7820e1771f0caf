import { createPublicKey, verify } from 'node:crypto';
import { test } from 'tap';
import { createAssertionKey } from '../../gateway/crypto/assertion-key.ts';
import { parseKeyring } from '../../gateway/crypto/keyring.ts';

const ONE = `one:${Buffer.alloc(32, 1).toString('base64url')}`;
const TWO = `two:${Buffer.alloc(32, 2).toString('base64url')}`;

void test('an assertion verifies with the published key and says what was signed', async (t) => {
  const key = createAssertionKey(parseKeyring(ONE));
  const [header = '', payload = '', signature = '', ...rest] = key.sign({ sub: 'Иван', exp: 7 }).split('.');
  t.same(rest, []);
  t.same(JSON.parse(Buffer.from(header, 'base64url').toString()), {
    alg: 'ES256',
    kid: key.publicJwk.kid,
    typ: 'JWT',
  });
  t.same(JSON.parse(Buffer.from(payload, 'base64url').toString()), { sub: 'Иван', exp: 7 });
  const publicKey = createPublicKey({ key: { ...key.publicJwk }, format: 'jwk' });
  const bytes = Buffer.from(signature, 'base64url');
  t.equal(bytes.length, 64, 'the signature is r and s, not DER');
  const check = (text: string): boolean =>
    verify('sha256', Buffer.from(text), { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes);
  t.ok(check(`${header}.${payload}`));
  t.notOk(check(`${header}.${payload}x`));
});

void test('nodes with the same master key publish the same key, others another', async (t) => {
  const one = createAssertionKey(parseKeyring(ONE)).publicJwk;
  t.same(createAssertionKey(parseKeyring(`${TWO}\n${ONE}`), 'one').publicJwk, one);
  t.not(createAssertionKey(parseKeyring(TWO)).publicJwk.kid, one.kid);
  t.notOk('d' in one, 'the private part is not published');
});

void test('a key id that is not in the ring is refused', async (t) => {
  t.throws(() => createAssertionKey(parseKeyring(ONE), 'nine'), { code: 'internal' });
});
