import { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createKnownClients, KNOWN_COOKIE } from '../../gateway/pipeline/known-client.ts';

const master = createMasterKey();
const known = createKnownClients(parseKeyring(master));

function valueOf(setCookie: string): string {
  return setCookie.slice(KNOWN_COOKIE.length + 1, setCookie.indexOf(';'));
}

void test('a client is known for the person who signed in from it, and for nobody else', (t) => {
  const setCookie = known.remember(undefined, 'acme', 'Anna');
  t.match(
    setCookie,
    /^__Host-Http-zasov-known=1\.[\w-]{30}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=\d+$/,
  );
  const cookie = valueOf(setCookie);
  t.type(known.find(cookie, 'acme', 'anna'), 'string', 'however the name is typed');
  t.equal(known.find(cookie, 'acme', 'boris'), undefined);
  t.equal(known.find(cookie, 'neva', 'anna'), undefined);
  t.equal(known.find(undefined, 'acme', 'anna'), undefined);
  t.notMatch(cookie, /anna/i);
  t.end();
});

void test('four people of one browser stay known, the oldest goes first, and each stands there once', (t) => {
  let cookie: string | undefined;
  for (const name of ['a', 'b', 'c', 'b', 'd', 'e']) cookie = valueOf(known.remember(cookie, 'acme', name));
  const who = ['a', 'b', 'c', 'd', 'e'].filter((name) => known.find(cookie, 'acme', name) !== undefined);
  t.same(who, ['b', 'c', 'd', 'e']);
  t.ok((cookie?.length ?? 0) <= 128, `${cookie?.length} bytes`);
  t.end();
});

void test('nobody makes such a cookie: no change of any character passes, nor one of another gateway', (t) => {
  const cookie = valueOf(known.remember(undefined, 'acme', 'anna'));
  for (let at = 0; at < cookie.length; at += 1) {
    const other = cookie[at] === 'A' ? 'B' : 'A';
    const forged = cookie.slice(0, at) + other + cookie.slice(at + 1);
    const isSame = Buffer.from(forged.slice(2), 'base64url').equals(
      Buffer.from(cookie.slice(2), 'base64url'),
    );
    if (!isSame || at < 2) t.equal(known.find(forged, 'acme', 'anna'), undefined, forged);
  }
  const foreign = createKnownClients(parseKeyring(createMasterKey())).remember(undefined, 'acme', 'anna');
  t.equal(known.find(valueOf(foreign), 'acme', 'anna'), undefined);
  for (const garbage of ['', '.', '1', '1.', '....', '1.x', `1.${'A'.repeat(5000)}`, '__proto__.x'])
    t.equal(known.find(garbage, 'acme', 'anna'), undefined);
  t.end();
});

void test('a new master key keeps clients known as long as the old one is in the file', (t) => {
  const cookie = valueOf(known.remember(undefined, 'acme', 'anna'));
  const next = createMasterKey().replace('1:', '2:');
  const both = createKnownClients(parseKeyring(next + master));
  t.type(both.find(cookie, 'acme', 'anna'), 'string');
  t.equal(createKnownClients(parseKeyring(next)).find(cookie, 'acme', 'anna'), undefined);
  t.end();
});
