/** Identity files as age-keygen and age -p write them. */
import {
  armor,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from 'age-encryption';
import { test } from 'tap';

import { readIdentities } from '../../gateway/backup/identity-file.ts';

const one = await generateX25519Identity();
const hybrid = await generateHybridIdentity();
const SIGNER = `zsb1:${'0a'.repeat(32)}`;
const TEXT = `# created: 2026-11-26T03:00:00Z\n# public key: age1…\n${one}\n\n# zasov-signer: ${SIGNER}\n${hybrid}\n`;
const PASSPHRASE = ' horse battery staple ';

/** What `age-keygen | age -p` of Debian's age 1.1.1 wrote; of a key that opens nothing. */
const REAL = [
  'YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBCMjlBRnBnUWp1T3FMTjZEODgzQkxBIDE4CnBvc1pTelc5REVlSmsy',
  'TEFzNUJGYVZJSERxdXFYNGVoa1BiVlIzV041bVEKLS0tIEVqY0JLd1VtQ1JkRStJejNLdVFFZlN4R3JTbVpmMkU4em1KQXc4',
  'a3gySzgK18A5UMVMC1Kk3s5AfH98NVZePw8wL+Kp47KoSSL7okmJ7J/IK3L9RJ1dt/6k5ByJ5c2s3U+CkDuNcKJYHsoNlMhS',
  'Rn9eqPgc5KcjWz/TVDDJlU7mUObYAqtO6QcSE0avNNmaah0oea1K/ldZCj7/tlUyzPRpzJWh+lxsn93g4wn3K62kdJVk+VEY',
  '4QZxn87VoCEZT+7iq8xtMIfKFGUEP845haoKZHxCh5NpqaaM4wD7X0N7PWMsJzUzpUZJQ+5/kJygNFUE2Cq1O/nLD+Wn+fT8',
  'NSQxyhn8',
].join('');
const REAL_IDENTITY = 'AGE-SECRET-KEY-1GCLEXFEKVR368MSG00MC0KVDM2TF63XAA92VV2G6LD9M80QQZVWS0LY3KX';

const notAsked = () => Promise.reject(new Error('it was asked'));

/** As `age -p` does it, with less work. */
async function encrypted(text: string, passphrase = PASSPHRASE): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(4);
  return await encrypter.encrypt(text);
}

void test('a plain file gives all its identities, whatever comments and line ends it has', async (t) => {
  const wanted = { identities: [one, hybrid], signer: SIGNER };
  for (const text of [TEXT, TEXT.replaceAll('\n', '\r\n'), TEXT.trim(), `\uFEFF${TEXT}`, `  ${TEXT}`])
    t.same(await readIdentities(Buffer.from(text), notAsked), wanted);
  t.same(await readIdentities(Buffer.from(one), notAsked), { identities: [one], signer: undefined });
});

void test('a file with a passphrase opens with it and with nothing else, armored or not', async (t) => {
  const binary = await encrypted(TEXT);
  const text = armor.encode(binary);
  const files = [binary, text, text.replaceAll('\n', '\r\n'), `\n\n${text}\n`].map((each) =>
    Buffer.from(each),
  );
  for (const file of files) {
    const found = await readIdentities(file, () => Promise.resolve(PASSPHRASE));
    t.same(found, { identities: [one, hybrid], signer: SIGNER }, 'the comment about the signer counts too');
    for (const wrong of ['', PASSPHRASE.trim(), 'horse'])
      await t.rejects(
        readIdentities(file, () => Promise.resolve(wrong)),
        { code: 'backup_invalid', message: 'the passphrase does not open the identity file' },
      );
    const none = new Error('no terminal');
    await t.rejects(
      readIdentities(file, () => Promise.reject(none)),
      none,
    );
  }
});

void test('what is no identity file says what it is, and nothing of what it holds', async (t) => {
  const binary = Buffer.from(await encrypted(TEXT));
  const toRecipient = new Encrypter();
  toRecipient.addRecipient(await identityToRecipient(one));
  const text = armor.encode(binary);
  const slip = `${one.slice(0, 30)}${one[30] === 'Q' ? 'P' : 'Q'}${one.slice(31)}`;
  const cases: Record<string, [file: Uint8Array | string, says: RegExp]> = {
    nothing: ['', /holds no age identity/],
    'comments alone': ['# AGE-SECRET-KEY-1…\n', /holds no age identity/],
    'a recipient': [`# mine\n${await identityToRecipient(one)}\n`, /line 2 is a recipient/],
    'a plugin': ['AGE-PLUGIN-YUBIKEY-1QQPQQ\n', /line 1 needs a plugin/],
    OpenSSH: ['-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n', /line 1 begins a key of OpenSSH/],
    'a wrong letter': [`${hybrid}\n${slip}\n`, /line 2 is no whole identity/],
    'a cut identity': [one.slice(0, -1), /line 1 is no whole identity/],
    'small letters': [one.toLowerCase(), /line 1 is no whole identity/],
    'a policy': [`${one}\nlisten: {}\n`, /line 2 is neither a comment nor/],
    bytes: [Buffer.from([0xff, 0xfe, 0]), /is no text/],
    'cut armor': [text.slice(0, -40), /its armor is not whole/],
    'another armor': [text.replace('AAAA', '----').replace('END AGE', 'END'), /its armor is not whole/],
    'a cut file': [binary.subarray(0, -1), /it is cut or was changed/],
    'a changed file': [Buffer.from(binary).fill(1, binary.length - 3), /it is cut or was changed/],
    'a cut header': [binary.subarray(0, 40), /it ends in its header/],
    'another version': [binary.toString('latin1').replace('/v1', '/v9'), /no age file/],
    'a file for a recipient': [
      await toRecipient.encrypt(TEXT),
      /encrypted to a recipient and not with a passphrase/,
    ],
  };
  for (const [what, [file, says]] of Object.entries(cases)) {
    const reading = readIdentities(Buffer.from(file), () => Promise.resolve(PASSPHRASE));
    await t.rejects(reading, { code: 'backup_invalid', message: says }, what);
    const message = await reading.then(String, (error: unknown) => (error as Error).message);
    t.notMatch(message, /AGE-SECRET-KEY-1[A-Z0-9]|YUBIKEY|listen/, 'nothing of it is repeated');
  }
});

void test('a file that age itself encrypted with a passphrase opens', async (t) => {
  const file = Buffer.from(REAL, 'base64');
  const { identities } = await readIdentities(file, () => Promise.resolve('correct horse'));
  t.same(identities, [REAL_IDENTITY]);
});
