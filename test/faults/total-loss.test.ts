/** Everything is lost, and comes back: what should work works, what should not does not. */
import { test } from 'tap';

import { signIn, whoAmI } from '../end-to-end/small-crm-client.ts';
import { eventually } from '../support/wire.ts';
import { LostSite } from './lost-site.ts';

for (const store of ['embedded', 'redis'] as const)
  await test(`after a total loss with the ${store} store nothing that was revoked comes back`, async (t) => {
    const site = await LostSite.open(store);
    const [active, revoked, laterRevoked] = ['olga', 'petr', 'rita'].map((name) => site.issue(name));
    const rotated = site.issue('sergei');
    const laterRotated = site.issue('tanja');
    if (active === undefined || revoked === undefined || laterRevoked === undefined)
      throw new Error('no keys');
    const successor = site.rotate(rotated);
    site.revoke(revoked);
    const [before, after] = [site.client(), site.client()];
    await signIn(before, 'olga');
    t.equal(await whoAmI(before), 'olga');

    const archive = await site.kit.archive();

    site.revoke(laterRevoked);
    const laterSuccessor = site.rotate(laterRotated);
    const issued = site.issue('uljana');
    await signIn(after, 'vera');
    const proposed = site.person(
      'Anna',
      'propose',
      'replace_administrators',
      '--replace',
      'Boris',
      '--with',
      site.fingerprint('Carl'),
    );
    t.equal(proposed.code, 0, proposed.stderr);
    const { id } = JSON.parse(proposed.stdout) as { id: string };
    t.match(site.person('Boris', 'approve', id), { code: 0 });
    await eventually(() => Promise.resolve(site.names().includes('Carl')), 20_000);
    await site.kit.journal();
    await site.lose();

    const restored = site.restore(archive);
    t.equal(restored.code, 0, restored.stderr);
    t.match(restored.stderr, /the journal is whole/);
    await site.start();
    const keys = { active, revoked, laterRevoked, rotated, successor, laterRotated, laterSuccessor, issued };
    const found: Record<string, string> = {};
    for (const [name, key] of Object.entries(keys)) found[name] = await site.tryKey(key);
    t.same(found, {
      active: 'ok',
      revoked: 'key_revoked',
      laterRevoked: 'key_revoked',
      rotated: 'key_rotated',
      successor: 'ok',
      laterRotated: 'key_rotated',
      laterSuccessor: 'ok',
      issued: 'ok',
    });
    for (const { jar } of [before, after])
      t.equal(await whoAmI(site.client(jar)), undefined, 'every session is over');
    const again = site.client();
    await signIn(again, 'olga');
    t.equal(await whoAmI(again), 'olga', 'people sign in anew');
    t.same(site.names().toSorted(), ['Anna', 'Carl']);
    for (const name of ['Anna', 'Carl']) t.match(site.person(name, 'renew'), { code: 0 }, name);
    t.match(site.person('Boris', 'renew'), { code: 1 }, 'who was replaced stays out');
    t.match(site.person('Carl', 'approve', id), { code: 1 }, 'a used approval stays used');
    const trail = site.zasov('audit', 'verify');
    t.equal(trail.code, 0, trail.stdout);
    t.match(trail.stdout, /^gap \(writer .*\): records \d+ to \d+ are missing: restored from zasov-/m);
    for (const client of [before, after, again]) client.close();
    await site.close();
  });
