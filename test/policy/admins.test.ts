import { test } from 'tap';

import { goodPolicy, readPolicyText, SHORTEST } from '../support/policy-fixture.ts';

const ONE = `sha256:${'ab'.repeat(32)}`;
const OTHER = `sha256:${'cd'.repeat(32)}`;

function withAdmins(...entries: readonly (readonly [name: string, certificate: string])[]): string {
  const lines = entries.map(
    ([name, certificate]) => `  - { name: ${name}, certificate: "${certificate}" }\n`,
  );
  return `${SHORTEST}admins:${lines.length === 0 ? ' []\n' : `\n${lines.join('')}`}`;
}

void test('there are exactly two administrators, or the key is not there at all', (t) => {
  const counts = (text: string) => {
    const reading = readPolicyText(t, text);
    return 'mistakes' in reading ? reading.mistakes.map(({ message }) => message) : [];
  };
  const exactly = ['admins: there are exactly two administrators'];
  t.same(counts(withAdmins()), exactly);
  t.same(counts(withAdmins(['Anna', ONE])), exactly);
  t.same(counts(withAdmins(['Anna', ONE], ['Boris', OTHER], ['Carl', `sha256:${'ef'.repeat(32)}`])), exactly);
  t.same(counts(withAdmins(['Anna', ONE], ['Boris', OTHER])), []);
  t.same(counts(SHORTEST), []);
  t.end();
});

void test('the same key twice is refused, however it is written', (t) => {
  const colons = `sha256:${Array.from({ length: 32 }, () => 'AB').join(':')}`;
  for (const second of [ONE, ONE.toUpperCase().replace('SHA256', 'sha256'), colons]) {
    const reading = readPolicyText(t, withAdmins(['Anna', ONE], ['Boris', second]));
    t.match('mistakes' in reading && reading.mistakes.map(({ message }) => message), [
      /^admins\[1\]\.certificate: this certificate was used before/,
    ]);
  }
  t.end();
});

void test('the two and how they come in are compiled', (t) => {
  const access =
    'admin_access: { networks: [10.0.0.0/8], passkey: "off", approval_expires: 30m, servers: ["db:22"] }';
  const { policy } = goodPolicy(t, `${withAdmins(['Anna', ONE], ['Boris', OTHER])}${access}\n`);
  t.same(policy.admins, [
    { name: 'Anna', fingerprint: 'ab'.repeat(32) },
    { name: 'Boris', fingerprint: 'cd'.repeat(32) },
  ]);
  const { networks, ...rest } = policy.adminAccess;
  t.match(rest, { requiresPasskey: false, approvalExpiresMs: 1_800_000, servers: ['db:22'] });
  t.equal(networks?.includes('10.1.2.3'), true);
  t.equal(networks?.includes('192.0.2.1'), false);
  const bare = goodPolicy(t, SHORTEST).policy;
  t.equal(bare.admins, undefined);
  t.equal(bare.adminAccess.networks, undefined, 'no networks means any');
  t.end();
});
