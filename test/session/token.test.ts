import { test } from 'tap';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import {
  TOKEN_MAX_CHARS,
  createTokenMint,
  familyHash,
  newFamilySecret,
  tokenHash,
} from '../../gateway/session/token.ts';

const NOW = 1_800_000_000_000;
const mint = createTokenMint(parseKeyring(createMasterKey()));

void test('a token is genuine, says its family and generation, and never repeats', async (t) => {
  const secret = newFamilySecret();
  const token = mint.mint(secret, 41, NOW);
  t.same(mint.verify(token), {
    familySecret: secret,
    id: familyHash(secret),
    generation: 41,
    issuedMs: NOW,
  });
  t.not(mint.mint(secret, 41, NOW), token);
  t.not(tokenHash(mint.mint(secret, 41, NOW)), tokenHash(token));
});

void test('cookie name, equals sign and token are at most 128 bytes, whatever the numbers', async (t) => {
  const ring = parseKeyring(createMasterKey().replace('1:', 'twelve-chars:'));
  const token = createTokenMint(ring).mint(newFamilySecret(), 36 ** 7 - 1, 36 ** 9 - 1);
  t.equal(token.length, TOKEN_MAX_CHARS);
  t.ok(createTokenMint(ring).verify(token));
  t.ok(SESSION_COOKIE.length + 1 + token.length <= 128);
});

void test('what the store sees has at least 128 bits and shows no part of the token', async (t) => {
  const secret = newFamilySecret();
  const token = mint.mint(secret, 0, NOW);
  for (const text of [familyHash(secret), tokenHash(token)]) {
    t.match(text, /^[\w-]{22}$/);
    t.notOk(token.includes(text));
  }
});

void test('29: no change of any character passes', async (t) => {
  const token = mint.mint(newFamilySecret(), 3, NOW);
  for (let index = 0; index < token.length; index += 1) {
    for (const other of ['A', 'b', '0', '.', '_', ' ', 'é']) {
      if (token[index] === other) continue;
      t.equal(mint.verify(token.slice(0, index) + other + token.slice(index + 1)), undefined);
    }
  }
});

void test('29: the MAC has one spelling, although its last character carries unused bits', async (t) => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const token = mint.mint(newFamilySecret(), 3, NOW);
  const accepted = alphabet.split('').filter((last) => mint.verify(token.slice(0, -1) + last) !== undefined);
  t.same(accepted, [token.at(-1)]);
});

void test('29: truncated, extended, doubled and huge tokens are garbage', async (t) => {
  const token = mint.mint(newFamilySecret(), 3, NOW);
  for (let length = 0; length < token.length; length += 1) {
    t.equal(mint.verify(token.slice(0, length)), undefined);
  }
  for (const text of [
    `${token}A`,
    `${token}.`,
    ` ${token}`,
    `${token}\n`,
    token + token,
    'v1.'.repeat(1366),
  ]) {
    t.equal(mint.verify(text), undefined);
  }
});

void test('29, 34: a token under an unknown, foreign or retired key is garbage', async (t) => {
  const [one, two] = [createMasterKey(), createMasterKey()].map((text) => text.trim());
  const old = createTokenMint(parseKeyring(`${one}`)).mint(newFamilySecret(), 0, NOW);
  const next = two?.replace('1:', '2:') ?? '';
  t.ok(createTokenMint(parseKeyring(`${next}\n${one}`)).verify(old), 'the older key still opens');
  t.equal(createTokenMint(parseKeyring(next)).verify(old), undefined, 'retired');
  t.equal(createTokenMint(parseKeyring(two ?? '')).verify(old), undefined, 'same key id, another key');
  t.equal(mint.verify(old.replace('v1.1.', 'v1.9.')), undefined);
});
