/** Policies that lower a protection, with real processes: reloads, restarts, workers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { test } from 'tap';

import { eventually } from '../support/wire.ts';
import { Installation } from './two-people.ts';

for (const workers of [1, 2]) {
  await test(`a lowered protection waits for both, across reload and restart, with workers: ${workers}`, async (t) => {
    const place = new Installation(`workers: ${workers}\n`);
    const [strict, lowered] = [place.policy(['Anna', 'Boris']), place.policy(['Anna', 'Boris'], 'public')];
    await place.start(strict);
    t.equal(await place.statusOf('/api/x'), 401);
    place.write(lowered);
    t.match(place.zasov('reload'), { code: 1, stderr: /held until both/ });
    t.equal(await place.statusOf('/api/x'), 401, 'the old set is in force');
    t.ok(await place.metric(/^zasov_policy_reloads_total\{result="held"\} (\d+)$/m));
    t.equal(await place.metric(/^zasov_policy_held (\d+)$/m), '1');
    t.match(place.zasov('status').stdout, /held .*sha256:[0-9a-f]{64}/);
    t.match(place.overview().held?.changes, [/"api".*: access session → public/]);

    await place.gateway.program.kill();
    await place.start(lowered);
    t.equal(await place.statusOf('/api/x'), 401, 'a restart is no way around');
    t.match(await place.readiness(), { status: 200, checks: { administrators: /held/ } });

    const proposed = place.person('Boris', 'propose', 'lower_protection');
    t.equal(proposed.code, 0, proposed.stderr);
    const { id, words } = JSON.parse(proposed.stdout) as { id: string; words: string[] };
    t.match(words.join('\n'), /access session → public/);
    t.equal(await place.statusOf('/api/x'), 401);
    t.equal(place.person('Anna', 'approve', id).code, 0);
    await eventually(async () => (await place.statusOf('/api/x')) === 200, 20_000);
    t.equal(place.overview().held, null);

    await place.gateway.program.kill();
    await place.start(lowered);
    t.equal(await place.statusOf('/api/x'), 200, 'and after one');
    place.write(strict);
    t.equal(place.zasov('reload').code, 0, 'what protects more needs nobody');
    t.equal(await place.statusOf('/api/x'), 401);
    place.write(lowered);
    t.equal(place.zasov('reload').code, 1, 'an approval is good for one time');
    await place.gateway.program.stop();
  });
}

await test('a node that has lost what it kept does not start with less protection', async (t) => {
  const place = new Installation();
  await place.start(place.policy(['Anna', 'Boris']));
  await place.gateway.program.stop();
  writeFileSync(join(place.data, 'admin', 'policy-in-force'), 'nonsense');
  const refused = await place.start(place.policy(['Anna', 'Boris'], 'public')).catch(String);
  t.match(refused, /lower a protection/);
  t.match(refused, /access session → public/);
  await place.start(place.policy(['Anna', 'Boris']));
  await place.gateway.program.stop();
});

await test('without administrators nothing is held', async (t) => {
  const place = new Installation();
  await place.start(place.policy(undefined));
  place.write(place.policy(undefined, 'public'));
  t.equal(place.zasov('reload').code, 0);
  t.equal(await place.statusOf('/api/x'), 200);
  await place.gateway.program.stop();
});
