import { test } from 'tap';
import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';

const ONE = Buffer.alloc(32, 1).toString('base64url');
const TWO = Buffer.alloc(32, 2).toString('base64url');

void test('the first line is the current key and the others stay known', async (t) => {
  const ring = parseKeyring(`# made by hand\n\nb:${TWO}\r\n  a:${ONE}  \n`);
  t.equal(ring.currentKid, 'b');
  t.same(ring.kids, ['b', 'a']);
  t.equal(ring.derive('c', 'x'), undefined, 'a key id that is not in the ring derives nothing');
});

void test('a line without a key id gets the id 1', async (t) => {
  t.equal(parseKeyring(ONE).currentKid, '1');
  t.same(parseKeyring(ONE).derive('1', 'x'), parseKeyring(`1:${ONE}`).derive('1', 'x'));
});

void test('fresh master keys are read back and never repeat', async (t) => {
  const [one, two] = [createMasterKey(), createMasterKey()];
  t.not(one, two);
  t.equal(parseKeyring(one).deriveCurrent('x').length, 32);
});

void test('keys differ by master key and by purpose, and are the same on every node', async (t) => {
  const ring = parseKeyring(`b:${TWO}\na:${ONE}`);
  t.notSame(ring.derive('a', 'x'), ring.derive('a', 'y'));
  t.notSame(ring.derive('a', 'x'), ring.derive('b', 'x'));
  t.same(ring.derive('a', 'x'), parseKeyring(`other:${ONE}`).derive('other', 'x'));
  t.equal(ring.derive('a', 'x'), ring.derive('a', 'x'), 'a derived key is kept');
  t.equal(ring.deriveCurrent('z', 48).length, 48);
  t.notSame(ring.deriveCurrent('x'), Buffer.alloc(32, 2), 'the master key itself is never handed out');
});

const MISTAKES: [name: string, text: string, says: RegExp][] = [
  ['no key at all', '# nothing\n', /holds no key/],
  ['a short key', `1:${Buffer.alloc(31).toString('base64url')}`, /line 1: a key is 32 bytes/],
  ['a long key', `1:${Buffer.alloc(33).toString('base64url')}`, /line 1: a key is 32 bytes/],
  ['padding', `1:${ONE}=`, /line 1: a key is 32 bytes/],
  ['a second spelling of the last character', `1:${ONE.slice(0, -1)}F`, /line 1: a key is 32 bytes/],
  ['a dot in the key id', `a.b:${ONE}`, /line 1: a key id is/],
  ['an overlong key id', `${'k'.repeat(13)}:${ONE}`, /line 1: a key id is/],
  ['a key id used twice', `a:${ONE}\na:${TWO}`, /line 2: the key id "a" was used before/],
];

for (const [name, text, says] of MISTAKES) {
  void test(`${name} is refused with the line and without the key`, async (t) => {
    try {
      parseKeyring(text);
      t.fail('was accepted');
    } catch (error) {
      t.ok(error instanceof GatewayError);
      t.match((error as Error).message, says);
      t.notMatch((error as Error).message, ONE.slice(0, 20));
    }
  });
}
