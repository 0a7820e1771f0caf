import tap from 'tap';
import { startCrmNode } from '../../gateway/demo/crm/crm-node.ts';
import { CrmVisitor } from './crm-visitor.ts';

const node = await startCrmNode({ region: 'msk', port: 0, peers: [], secret: 'test' });
tap.teardown(() => node.close());
const anna = new CrmVisitor(node.url);
await anna.signIn('anna');

const lead = {
  title: 'Fence <script>',
  company: 'Oak & Co',
  stage: 'new',
  amount: '1200',
  currency: 'EUR',
  email: '',
};

await tap.test('a fresh account has forty leads and sixty contacts, in pages', async (t) => {
  const first = await anna.get('/leads');
  t.match(first.text, 'found: 40');
  t.match((await anna.get('/contacts')).text, 'found: 60');
  const ids = (text: string): string[] =>
    [...text.matchAll(/href="\/leads\/(\d+)"/g)].map((match) => match[1] ?? '');
  const all = new Set(
    [first, await anna.get('/leads?page=2'), await anna.get('/leads?page=3')].flatMap(({ text }) =>
      ids(text),
    ),
  );
  t.equal(all.size, 40, 'three pages hold all of them');
  for (const page of ['0', '-1', 'x', '99999999999999999999'])
    t.equal((await anna.get(`/leads?page=${page}`)).status, 200);
});

await tap.test('a lead is created, found, changed and deleted, and nothing of it is markup', async (t) => {
  const csrf = await anna.token('/leads/new');
  const created = await anna.post('/leads/new', { csrf, ...lead });
  t.equal(created.status, 302);
  const card = String(created.headers.location);
  t.match(card, /^\/leads\/\d+$/);
  const shown = await anna.get(card);
  t.match(shown.text, 'Fence &lt;script&gt;');
  t.notMatch(shown.text, 'Fence <script>');
  t.match((await anna.get('/leads?q=oak+FENCE')).text, 'found: 1');
  t.match((await anna.get('/leads?q=oak+fence&stage=won')).text, 'found: 0');
  t.equal((await anna.post(card, { csrf, ...lead, stage: 'won' })).status, 302);
  t.match((await anna.get('/leads?q=oak+fence&stage=won')).text, 'found: 1');
  t.equal((await anna.post(`${card}/delete`, { csrf })).status, 302);
  t.equal((await anna.get(card)).status, 404);
});

await tap.test('refused fields bring the form back with what was typed', async (t) => {
  const csrf = await anna.token('/leads/new');
  const mistakes = [
    { title: '' },
    { title: 'x'.repeat(121) },
    { stage: 'dreaming' },
    { amount: '-1' },
    { amount: '1e9' },
    { email: 'nobody' },
  ];
  for (const mistake of mistakes) {
    const answer = await anna.post('/leads/new', { csrf, ...lead, company: 'Kept "as" typed', ...mistake });
    t.equal(answer.status, 200, JSON.stringify(mistake));
    t.match(answer.text, 'aria-invalid');
    t.match(answer.text, 'Kept &quot;as&quot; typed');
  }
  t.match((await anna.get('/leads')).text, 'found: 40');
});

await tap.test('a record of another account cannot be read or changed', async (t) => {
  const csrf = await anna.token('/leads/new');
  const created = await anna.post('/leads/new', { csrf, ...lead });
  const card = String(created.headers.location);
  const stranger = new CrmVisitor(node.url, 'neva');
  await stranger.signIn('anna');
  const theirs = await stranger.token('/profile');
  t.equal((await stranger.get(card)).status, 404);
  t.equal((await stranger.post(card, { csrf: theirs, ...lead })).status, 404);
  t.equal((await stranger.post(`${card}/delete`, { csrf: theirs })).status, 404);
  t.equal((await anna.get(card)).status, 200);
});

await tap.test(
  'a body that is too large or of no use is refused and the connection stays usable',
  async (t) => {
    const csrf = await anna.token('/leads/new');
    t.equal((await anna.post('/leads/new', { csrf, note: 'x'.repeat(70_000) })).status, 413);
    t.equal((await anna.send('DELETE', '/leads/101')).status, 405);
    t.equal((await anna.get('/nowhere')).status, 404);
  },
);
