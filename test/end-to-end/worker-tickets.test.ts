/** New ticket keys reach every worker at once. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { connect } from 'node:tls';
import { test } from 'tap';

import { startGateway } from '../../gateway/gateway.ts';
import { TICKET_SLOT_MS } from '../../gateway/tls/ticket-secrets.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

/** The supervisor starts the program that runs now once more, which is this test otherwise. */
process.argv[1] = resolve('gateway/zasov.mjs');
/** The name of the key is the first part of a ticket (RFC 5077 section 4). */
const NAME_BYTES = 16;
const CONNECTIONS = 16;

await test('after a change of ticket keys a session of one worker resumes on every other', async (t) => {
  const crm = await startSmallCrm();
  t.teardown(() => crm.close());
  const data = temporaryDirectory();
  const policies = join(data, 'policies.yaml');
  const listen = ['public', 'admin', 'ops'].map((name) => `  ${name}: { address: 127.0.0.1, port: 0 }\n`);
  writeFileSync(policies, `workers: 2\nlisten:\n${listen.join('')}${smallCrmPolicy(crm.origin)}`);
  const clock = new ManualClock(Date.now());
  const gateway = await startGateway({
    policies,
    data,
    environment: {},
    version: 'test',
    logFile: 'test.log',
    clock,
  });
  t.teardown(() => gateway.stop());
  const target = {
    host: '127.0.0.1',
    port: Number(new URL(gateway.listeners.public).port),
    servername: 'localhost',
    ca: readFileSync(gateway.trust?.caFile ?? ''),
    maxVersion: 'TLSv1.2' as const,
  };
  const tickets = () =>
    Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        const socket = connect(target);
        await once(socket, 'secureConnect');
        const name = socket.getTLSTicket()?.subarray(0, NAME_BYTES).toString('hex') ?? 'none';
        const session = socket.getSession();
        socket.destroy();
        return { name, session };
      }),
    );
  const namesOf = (made: Awaited<ReturnType<typeof tickets>>) => new Set(made.map(({ name }) => name));
  const before = namesOf(await tickets());
  t.equal(before.size, 1, 'both workers make tickets under one key');
  clock.advance(TICKET_SLOT_MS);
  let made = await tickets();
  while ([...namesOf(made)].some((name) => before.has(name)) || namesOf(made).size > 1)
    made = await tickets();
  const session = made[0]?.session;
  for (let i = 0; i < CONNECTIONS; i += 1) {
    const socket = connect({ ...target, session });
    await once(socket, 'secureConnect');
    t.equal(socket.isSessionReused(), true);
    socket.destroy();
  }
});
