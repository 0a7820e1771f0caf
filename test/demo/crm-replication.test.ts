import { randomBytes } from 'node:crypto';
import tap from 'tap';
import { launchCrmNode, type CrmProcess } from '../../gateway/demo/crm/crm-launch.ts';
import { CrmVisitor, eventually } from './crm-visitor.ts';

const directory = tap.testdir({});
const regions = ['msk', 'spb', 'nsk'];
const nodes: CrmProcess[] = await Promise.all(regions.map((region) => launch(region, 0, [])));
tap.teardown(() => Promise.all(nodes.map((node) => node.close())));
await Promise.all(nodes.map((node) => node.setPeers(peersOf(node))));
const [msk, spb, nsk] = nodes as [CrmProcess, CrmProcess, CrmProcess];

const anna = new CrmVisitor(msk.url);
await anna.signIn('anna');
const csrf = await anna.token('/profile');
const lead = { csrf, stage: 'new', amount: '1', currency: 'EUR' };

function launch(region: string, port: number, peers: string[]): Promise<CrmProcess> {
  return launchCrmNode({ region, port, peers, secret: 'test', dataDirectory: directory });
}

function peersOf(node: CrmProcess): string[] {
  return nodes.filter(({ region }) => region !== node.region).map(({ url }) => url);
}

/** The same browser, sent to another node. */
async function getAt(node: CrmProcess, path: string) {
  anna.url = node.url;
  const answer = await anna.get(path);
  anna.url = msk.url;
  return answer;
}

await tap.test('an answered write and an answered sign-in are on every node already', async (t) => {
  const created = await anna.post('/leads/new', { ...lead, title: 'Known everywhere' });
  const card = String(created.headers.location);
  for (const node of [spb, nsk]) t.match((await getAt(node, card)).text, 'Known everywhere', node.region);
  await anna.post(`${card}/delete`, { csrf });
  for (const node of [spb, nsk]) t.equal((await getAt(node, card)).status, 404, node.region);
});

await tap.test('a form opened on one node may be sent to another', async (t) => {
  const visitor = new CrmVisitor(spb.url);
  const token = await visitor.token('/login');
  visitor.url = nsk.url;
  const form = { csrf: token, username: 'boris', password: 'boris-demo-1' };
  t.equal((await visitor.post('/login', form)).status, 302);
});

await tap.test('a file can be had from a node that did not take it', async (t) => {
  const content = randomBytes(100_000);
  const head = (name: string): string => `--b0\r\nContent-Disposition: form-data; name="${name}"`;
  const body = Buffer.concat([
    Buffer.from(`${head('csrf')}\r\n\r\n${csrf}\r\n${head('file')}; filename="far.bin"\r\n\r\n`),
    content,
    Buffer.from('\r\n--b0--\r\n'),
  ]);
  await anna.send('POST', '/leads/102/files', { 'content-type': 'multipart/form-data; boundary=b0' }, body);
  const path = /href="(\/files\/[\w-]+)"/.exec((await getAt(nsk, '/leads/102')).text)?.[1] ?? 'none';
  t.ok((await getAt(nsk, path)).bytes.equals(content));
});

await tap.test(
  'a killed node takes nothing acknowledged with it, and comes back with what it missed',
  async (t) => {
    const port = Number(new URL(nsk.url).port);
    anna.url = nsk.url;
    const before = await anna.post('/leads/new', { ...lead, title: 'Written just before the end' });
    anna.url = msk.url;
    await nsk.kill();
    t.match((await getAt(msk, String(before.headers.location))).text, 'Written just before the end');
    t.match((await getAt(spb, '/')).text, 'Anna Orlova', 'the session is alive elsewhere');

    const missed = await anna.post('/leads/new', { ...lead, title: 'Written while it was away' });
    t.equal(missed.status, 302);
    const password = {
      csrf,
      old_password: 'anna-demo-1',
      new_password: 'anna-new-1',
      repeat_password: 'anna-new-1',
    };
    t.equal((await anna.post('/profile/password', password)).status, 302);
    await anna.post('/leads/103/delete', { csrf });

    const back = await launch('nsk', port, peersOf(nsk));
    nodes[2] = back;
    t.equal(back.url, nsk.url);
    t.match((await getAt(back, String(missed.headers.location))).text, 'Written while it was away');
    t.match((await getAt(back, String(before.headers.location))).text, 'Written just before the end');
    t.equal((await getAt(back, '/leads/103')).status, 404);
    t.equal(
      (await new CrmVisitor(back.url).signIn('anna')).status,
      200,
      'the old password is dead there too',
    );

    const after = await eventually(
      async () => {
        const created = await anna.post('/leads/new', { ...lead, title: 'Written after' });
        return await getAt(back, String(created.headers.location));
      },
      ({ status }) => status === 200,
    );
    t.match(after.text, 'Written after', 'the others found it again');
  },
);

await tap.test('the replication doors are closed to whoever does not hold the secret', async (t) => {
  for (const secret of ['', 'wrong']) {
    const headers = { 'x-crm-replication': secret };
    t.equal((await anna.send('GET', '/replication/changes?after=0', headers)).status, 404);
    t.equal((await anna.send('POST', '/replication/operations', headers, '[]')).status, 404);
  }
  const headers = { 'x-crm-replication': 'test' };
  for (const body of ['', '{}', '[{}]', '[{"lamport":1}]'])
    t.equal((await anna.send('POST', '/replication/operations', headers, body)).status, 400, body);
});

await tap.test('SIGTERM closes a node in order', async (t) => {
  const extra = await launch('tmp', 0, []);
  await extra.close();
  await t.rejects(new CrmVisitor(extra.url).get('/healthz'), { code: 'ECONNREFUSED' });
});

await tap.test('a port that is taken is an error, not a silent node', async (t) => {
  await t.rejects(launch('tmp', Number(new URL(msk.url).port), []), /ended/);
});
