import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import type { AuditEvent } from '../../gateway/core/audit-event.ts';
import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createCredentialChanges } from '../../gateway/pipeline/credential-change.ts';
import { openIntentFolder } from '../../gateway/pipeline/intent-folder.ts';

const keyring = parseKeyring(createMasterKey());

/** The two halves of a change as a store that can be taken away shows them. */
function openHalves() {
  const store = { isAway: false, held: 0, ended: [] as string[], rotated: [] as string[] };
  const ask = (done: string[], who: string): Promise<number> => {
    if (store.isAway) return Promise.reject(new GatewayError('store_unavailable', 'taken away'));
    return Promise.resolve(done.push(who));
  };
  return {
    store,
    sessions: { endPerson: (account: string, subject: string) => ask(store.ended, `${account}/${subject}`) },
    keys: {
      credentialsChanged: (account: string, subject: string) => ask(store.rotated, `${account}/${subject}`),
      hold: () => {
        store.held += 1;
        return () => void (store.held -= 1);
      },
    },
  };
}

await test('a change is on disk, sealed, until sessions and keys are done; a store that returns finishes it', async (t) => {
  const directory = t.testdir({});
  const { store, sessions, keys } = openHalves();
  const told: unknown[] = [];
  const folder = await openIntentFolder(directory, keyring);
  const recorded: AuditEvent[] = [];
  const changes = createCredentialChanges({
    sessions,
    keys,
    folder,
    audit: { note: (event) => recorded.push(event) },
    notice: (_level, message, facts) => told.push([message, facts]),
    answerMs: 50,
  });
  // The service's own timers keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  store.isAway = true;
  const late = changes.changed('acme', 'olga-petrova');
  await t.rejects(
    late,
    { code: 'store_unavailable', retryAfterSeconds: 5 },
    'the answer is held up and then refused',
  );
  t.equal(readdirSync(directory).length, 1);
  t.equal(store.held, 1, 'her keys are held meanwhile');
  store.isAway = false;
  while (readdirSync(directory).length > 0 || store.held > 0)
    await new Promise((resolve) => setImmediate(resolve));
  t.strictSame([store.ended, store.rotated], [['acme/olga-petrova'], ['acme/olga-petrova']]);
  t.match(told, [['credentials changed', { account: 'acme', sessionsEnded: 1, keysRotated: 1 }]]);
  t.match(await changes.changed('acme', 'boris'), { sessionsEnded: 2, keysRotated: 2 });
  t.match(
    recorded,
    [
      { event: 'credentials.changed', facts: { sessions_ended: 1, keys_rotated: 1 } },
      {
        event: 'credentials.changed',
        facts: { sessions_ended: 2, keys_rotated: 2 },
        person: { subject: 'boris' },
      },
    ],
    'each change is one record, when all of it is done',
  );
  t.equal(recorded.length, 2);
  changes.close();
});

await test('what a killed process left is finished by the next one', async (t) => {
  const directory = t.testdir({});
  const folder = await openIntentFolder(directory, keyring);
  // The highest process id that Linux gives is 4194304.
  const orphan = { name: '4194305-left', account: 'acme', subject: 'olga' };
  await folder.write(orphan);
  await folder.write({ name: `${process.ppid}-alive`, account: 'acme', subject: 'boris' });
  writeFileSync(join(directory, '4194305-forged.change'), 'not sealed by us');
  t.strictSame(
    await folder.orphans(() => false),
    [orphan],
    'not one of a process that lives, nor a forged one',
  );
  const { store, sessions, keys } = openHalves();
  const changes = createCredentialChanges({
    sessions,
    keys,
    folder,
    notice: () => undefined,
    audit: { note: () => undefined },
  });
  await changes.resume();
  t.strictSame([store.ended, store.rotated, store.held], [['acme/olga'], ['acme/olga'], 0]);
  t.strictSame(await folder.orphans(() => false), []);
  changes.close();
});
