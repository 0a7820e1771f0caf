/** The demo's primary is killed: people go on working, see what they wrote, and the page says who served it. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { HttpsClient } from '../support/https-client.ts';
import { startDemo } from '../support/start-gateway.ts';

interface Status {
  nodes: {
    region: string;
    url: string;
    healthy: boolean;
    role: string;
    epoch: number | null;
    lag_ms: number;
  }[];
}

const PATIENCE_MS = 30_000;

const demo = await startDemo();
tap.teardown(() => demo.program.stop());
const { nodes } = demo.ready as { nodes: { region: string; url: string; pid: number }[] };
const client = new HttpsClient({ host: 'acme.crm.localhost', port: demo.port, ca: demo.ca });
tap.teardown(() => client.close());

function status(): Status['nodes'] {
  return (JSON.parse(demo.command('status', '--json').stdout) as Status).nodes;
}

async function until<T>(look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await pause(100)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error('it did not come in time');
}

async function csrfOf(path: string): Promise<string> {
  const { text } = await client.get(path);
  const token = /name="csrf" value="([^"]+)"/.exec(text)?.[1];
  if (token === undefined) throw new Error(`no form on ${path}: ${text.slice(0, 300)}`);
  return token;
}

/** Writes a lead. @returns its address, or `undefined` when the change was refused. */
async function write(title: string): Promise<string | undefined> {
  const form = { csrf: await csrfOf('/leads/new'), title, stage: 'new', amount: '1', currency: 'EUR' };
  const answer = await client.post('/leads/new', form, { origin: `https://acme.crm.localhost:${demo.port}` });
  return answer.status === 302 ? answer.header('location') : undefined;
}

function pathOf(location: string): string {
  return new URL(location, 'https://any').pathname;
}

async function regionOf(path: string): Promise<string> {
  const { text } = await client.get(path);
  return (
    /class="where">\s*\S+ <b>(\w+)<\/b> · (?:primary|copy)/.exec(text)?.[1] ?? `none in ${text.slice(0, 300)}`
  );
}

await test('one of the nodes is primary, and reads are served at home', async (t) => {
  const primary = await until(() => status().find(({ role }) => role === 'primary'));
  t.ok((primary.epoch ?? 0) >= 1);
  await until(() => (status().every(({ lag_ms: lag }) => lag < 5000) ? true : undefined));
  const form = { csrf: await csrfOf('/login'), username: 'boris', password: 'boris-demo-1' };
  const origin = `https://acme.crm.localhost:${demo.port}`;
  t.equal((await client.post('/login', form, { origin })).status, 302);
  t.equal(await until(async () => ((await regionOf('/')) === 'spb' ? 'spb' : undefined)), 'spb');
  t.equal((await client.get('/')).header('zasov-position'), undefined);
});

await test('the primary is killed: changes go on after a moment, and are seen by who made them', async (t) => {
  const before = status().find(({ role }) => role === 'primary');
  const victim = nodes.find(({ url }) => url === before?.url);
  if (before === undefined || victim === undefined) throw new Error('no primary');
  const last = await write('Written before');
  t.match((await client.get(pathOf(last ?? ''))).text, 'Written before', 'seen at once');
  process.kill(victim.pid, 'SIGKILL');
  const killedMs = performance.now();
  const first = await until(() => write('Written after'));
  t.comment(`a change was taken ${Math.round(performance.now() - killedMs)} ms after the primary was killed`);
  t.match((await client.get(pathOf(first))).text, 'Written after');
  t.match((await client.get(pathOf(last ?? ''))).text, 'Written before');
  const after = await until(() => status().find(({ role, healthy }) => role === 'primary' && healthy));
  t.not(after.url, before.url);
  t.ok((after.epoch ?? 0) > (before.epoch ?? 0), `epoch ${before.epoch} -> ${after.epoch}`);
  t.not(await regionOf('/'), victim.region);
});
