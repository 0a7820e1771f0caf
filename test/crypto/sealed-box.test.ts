import { test } from 'tap';
import { parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSealedBox } from '../../gateway/crypto/sealed-box.ts';

const ONE = `one:${Buffer.alloc(32, 1).toString('base64url')}`;
const TWO = `two:${Buffer.alloc(32, 2).toString('base64url')}`;
const box = createSealedBox(parseKeyring(ONE), 'jar');
const plain = Buffer.from('CRMSESSID=0123456789abcdef');

void test('a sealed value opens under its label and secret, and shows nothing of itself', async (t) => {
  const sealed = box.seal(plain, 'family', 'secret');
  t.same(box.open(sealed, 'family', 'secret'), plain);
  t.notOk(sealed.includes('CRMSESSID'));
  t.notSame(box.seal(plain, 'family', 'secret'), sealed, 'no two seals are alike');
  t.same(box.open(box.seal(Buffer.alloc(0), 'family'), 'family'), Buffer.alloc(0));
});

void test('a value read out of a larger buffer opens too', async (t) => {
  const sealed = box.seal(plain, 'family');
  const larger = Buffer.concat([Buffer.alloc(7), sealed, Buffer.alloc(9)]);
  t.same(box.open(new Uint8Array(larger.buffer, larger.byteOffset + 7, sealed.length), 'family'), plain);
});

void test('another label, secret, purpose or master key opens nothing', async (t) => {
  const sealed = box.seal(plain, 'family', 'secret');
  t.equal(box.open(sealed, 'other', 'secret'), undefined);
  t.equal(box.open(sealed, 'family', 'guess'), undefined);
  t.equal(box.open(sealed, 'family'), undefined);
  t.equal(createSealedBox(parseKeyring(ONE), 'profile').open(sealed, 'family', 'secret'), undefined);
  const impostor = parseKeyring(ONE.replace('AQEB', 'AgIC'));
  t.equal(createSealedBox(impostor, 'jar').open(sealed, 'family', 'secret'), undefined);
});

void test('a change of any single byte is noticed', async (t) => {
  const sealed = box.seal(plain, 'family', 'secret');
  for (let index = 0; index < sealed.length; index += 1) {
    const changed = Buffer.from(sealed);
    changed[index] = (changed[index] ?? 0) ^ 1;
    t.equal(box.open(changed, 'family', 'secret'), undefined, `byte ${index}`);
  }
});

void test('truncated values are refused, down to nothing', async (t) => {
  const sealed = box.seal(plain, 'family');
  for (let length = 0; length < sealed.length; length += 1) {
    t.equal(box.open(sealed.subarray(0, length), 'family'), undefined);
  }
});

void test('what an older key sealed opens until that key is retired', async (t) => {
  const sealed = box.seal(plain, 'family');
  t.same(createSealedBox(parseKeyring(`${TWO}\n${ONE}`), 'jar').open(sealed, 'family'), plain);
  t.equal(createSealedBox(parseKeyring(TWO), 'jar').open(sealed, 'family'), undefined);
});
