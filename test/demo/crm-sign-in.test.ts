import { gunzipSync } from 'node:zlib';
import tap from 'tap';
import { startCrmNode } from '../../gateway/demo/crm/crm-node.ts';
import { CrmVisitor, tokenOf } from './crm-visitor.ts';

const node = await startCrmNode({ region: 'msk', port: 0, peers: [], secret: 'test' });
tap.teardown(() => node.close());

await tap.test('the first anonymous answer sets the cookie, and signing in keeps its id', async (t) => {
  const visitor = new CrmVisitor(node.url);
  const form = await visitor.get('/login');
  t.equal(form.status, 200);
  t.match(form.headers['set-cookie']?.[0], /^CRMSESSID=[\da-f]{32}; Path=\/; HttpOnly; SameSite=Lax$/);
  const before = visitor.cookies.get('CRMSESSID');
  const answer = await visitor.signIn('anna');
  t.equal(answer.status, 302);
  t.equal(answer.headers.location, 'http://acme.crm.localhost/', 'its own idea of its scheme and host');
  t.equal(answer.headers['set-cookie'], undefined);
  t.equal(visitor.cookies.get('CRMSESSID'), before);
  const home = await visitor.get('/');
  t.match(home.text, 'Anna Orlova');
  t.match(home.headers['cache-control'], 'no-store');
});

await tap.test('a wrong password is 200 with the form again', async (t) => {
  const visitor = new CrmVisitor(node.url);
  for (const [login, password] of [
    ['anna', 'wrong'],
    ['nobody', 'wrong'],
    ['anna', ''],
  ] as const) {
    const answer = await visitor.signIn(login, password);
    t.equal(answer.status, 200);
    t.match(answer.text, 'role="alert"');
    t.match(answer.text, 'name="password"');
  }
  t.match((await visitor.get('/leads')).text, 'name="password"', 'still outside');
});

await tap.test('a form without the token of its session changes nothing', async (t) => {
  const visitor = new CrmVisitor(node.url);
  await visitor.get('/login');
  const stranger = await new CrmVisitor(node.url).token('/login');
  for (const csrf of ['', 'x', stranger]) {
    const answer = await visitor.post('/login', { csrf, username: 'anna', password: 'anna-demo-1' });
    t.equal(answer.status, 200);
  }
  t.match((await visitor.get('/')).text, 'name="password"');
  await visitor.signIn('anna');
  t.equal((await visitor.post('/leads/101/delete', { csrf: stranger })).status, 403);
  t.equal((await visitor.get('/leads/101')).status, 200);
});

await tap.test('signing out is 302 to the form, by GET too, and keeps the cookie', async (t) => {
  for (const method of ['GET', 'POST']) {
    const visitor = new CrmVisitor(node.url);
    await visitor.signIn('boris');
    const answer = await visitor.send(method, '/logout');
    t.equal(answer.status, 302);
    t.equal(answer.headers.location, '/login');
    t.equal(answer.headers['set-cookie'], undefined);
    t.match((await visitor.get('/')).text, 'name="password"');
  }
});

await tap.test('a dead session answers 200 with the form and a new cookie, ajax too', async (t) => {
  for (const path of ['/', '/leads/101', '/ajax/poll', '/live/events', '/files/x']) {
    const visitor = new CrmVisitor(node.url);
    visitor.cookies.set('CRMSESSID', 'f'.repeat(32));
    const answer = await visitor.get(path);
    t.equal(answer.status, 200, path);
    t.match(answer.headers['content-type'], 'text/html');
    t.match(answer.text, 'name="csrf"');
    t.not(visitor.cookies.get('CRMSESSID'), 'f'.repeat(32));
  }
});

await tap.test('a session of one account is nobody in another', async (t) => {
  const visitor = new CrmVisitor(node.url, 'acme');
  await visitor.signIn('anna');
  const elsewhere = new CrmVisitor(node.url, 'neva');
  elsewhere.cookies.set('CRMSESSID', visitor.cookies.get('CRMSESSID') ?? '');
  t.match((await elsewhere.get('/leads')).text, 'name="password"');
});

await tap.test('the host name chooses the account, and an unknown one is 404', async (t) => {
  t.match((await new CrmVisitor(node.url, 'volga').get('/login')).text, 'Волга Маш');
  t.equal((await new CrmVisitor(node.url, 'nobody').get('/login')).status, 404);
  const believed = await new CrmVisitor(node.url).get('/login', { 'x-forwarded-host': 'neva.crm.localhost' });
  t.match(believed.text, 'Нева Снаб', 'anyone is believed');
});

await tap.test(
  'a password change ends older sessions, spares the young, and sends the cookie again',
  async (t) => {
    let nowMs = Date.UTC(2026, 10, 1);
    const own = await startCrmNode({ region: 'msk', port: 0, peers: [], secret: 'x', now: () => nowMs });
    t.teardown(() => own.close());
    const [old, young, changer] = [new CrmVisitor(own.url), new CrmVisitor(own.url), new CrmVisitor(own.url)];
    await old.signIn('clara');
    nowMs += 60_000;
    await young.signIn('clara');
    await changer.signIn('clara');
    const csrf = await changer.token('/profile');
    const form = {
      csrf,
      old_password: 'clara-demo-1',
      new_password: 'better-one',
      repeat_password: 'better-one',
    };
    for (const mistake of [{ old_password: 'no' }, { new_password: 'short' }, { repeat_password: 'other' }]) {
      const refused = await changer.post('/profile/password', { ...form, ...mistake });
      t.equal(refused.status, 200);
      t.match(refused.text, 'role="alert"');
    }
    t.match((await old.get('/')).text, 'Clara Whitfield', 'nothing has changed yet');
    const done = await changer.post('/profile/password', form);
    t.equal(done.status, 302);
    t.match(done.headers['set-cookie']?.[0], /^CRMSESSID=/);
    t.notMatch(done.headers['set-cookie']?.[0], /Secure/i);
    t.match((await old.get('/')).text, 'name="password"');
    t.match((await young.get('/')).text, 'Clara Whitfield');
    t.match((await changer.get('/')).text, 'Clara Whitfield');
    t.equal((await old.signIn('clara', 'clara-demo-1')).status, 200);
    t.equal((await old.signIn('clara', 'better-one')).status, 302);
  },
);

await tap.test('forms may come as multipart, and files in them are passed over', async (t) => {
  const visitor = new CrmVisitor(node.url, 'neva');
  const fields = { csrf: await visitor.token('/login'), username: 'clara', password: 'clara-demo-2' };
  const parts = Object.entries(fields).map(([name, value]) => `name="${name}"\r\n\r\n${value}`);
  parts.push('name="photo"; filename="x.png"\r\n\r\nbytes');
  const body = parts.map((part) => `--b0\r\nContent-Disposition: form-data; ${part}\r\n`).join('');
  const headers = { 'content-type': 'multipart/form-data; boundary=b0' };
  t.equal((await visitor.send('POST', '/login', headers, `${body}--b0--\r\n`)).status, 302);
  t.match((await visitor.get('/')).text, 'Клара Берг');
});

await tap.test('the session ends twelve hours after it began', async (t) => {
  let nowMs = Date.UTC(2026, 10, 1);
  const own = await startCrmNode({ region: 'msk', port: 0, peers: [], secret: 'x', now: () => nowMs });
  t.teardown(() => own.close());
  const visitor = new CrmVisitor(own.url);
  await visitor.signIn('anna');
  nowMs += 12 * 3_600_000;
  t.match((await visitor.get('/')).text, 'Anna Orlova');
  nowMs += 1;
  t.match((await visitor.get('/')).text, 'name="password"');
});

await tap.test('only the administrator creates people and sets their passwords', async (t) => {
  const admin = new CrmVisitor(node.url, 'volga');
  await admin.signIn('anna');
  const csrf = await admin.token('/admin');
  const person = { csrf, login: 'dina', name: 'Дина <b>', new_password: 'dina-demo-3' };
  t.equal((await admin.post('/admin/users', person)).status, 302);
  t.match((await admin.get('/admin')).text, 'Дина &lt;b&gt;');
  t.match((await admin.post('/admin/users', person)).text, 'role="alert"', 'the login is taken');
  const dina = new CrmVisitor(node.url, 'volga');
  t.equal((await dina.signIn('dina', 'dina-demo-3')).status, 302);

  const denied = await dina.get('/admin');
  t.equal(denied.status, 200);
  t.notMatch(denied.text, 'boris');
  const attempt = { csrf: tokenOf(await dina.get('/profile')), new_password: 'stolen-anna' };
  t.equal((await dina.post('/admin/password?login=anna', attempt)).status, 200);
  t.equal((await new CrmVisitor(node.url, 'volga').signIn('anna')).status, 302, 'unchanged');

  t.equal((await admin.post('/admin/password?login=dina', { csrf, new_password: '' })).status, 302);
  t.equal(
    (await new CrmVisitor(node.url, 'volga').signIn('dina', 'dina-demo-3')).status,
    302,
    'empty: unchanged',
  );
  t.equal((await admin.post('/admin/password?login=dina', { csrf, new_password: 'fresh-dina' })).status, 302);
  t.equal((await new CrmVisitor(node.url, 'volga').signIn('dina', 'dina-demo-3')).status, 200);
  t.equal((await new CrmVisitor(node.url, 'volga').signIn('dina', 'fresh-dina')).status, 302);
});

await tap.test(
  'the language follows the cookie, then the browser; the switch leads nowhere else',
  async (t) => {
    const visitor = new CrmVisitor(node.url);
    t.match((await visitor.get('/login', { 'accept-language': 'ru-RU,ru;q=0.9' })).text, 'lang="ru"');
    t.match((await visitor.get('/login')).text, 'lang="en"');
    const chosen = await visitor.get('/language?to=ru&back=/login');
    t.equal(chosen.headers.location, '/login');
    t.match((await visitor.get('/login')).text, 'lang="ru"');
    for (const back of ['//evil.example', '/\\evil.example', 'http://evil.example', '/a\r\nb'])
      t.equal((await visitor.get(`/language?back=${encodeURIComponent(back)}`)).headers.location, '/');
  },
);

await tap.test(
  'pages are chunked, and gzipped by the CRM itself; the style sheet carries a cookie',
  async (t) => {
    const visitor = new CrmVisitor(node.url);
    const zipped = await visitor.get('/login', { 'accept-encoding': 'gzip' });
    t.equal(zipped.headers['content-encoding'], 'gzip');
    t.equal(zipped.headers['transfer-encoding'], 'chunked');
    t.match(gunzipSync(zipped.bytes).toString(), '</html>');
    const css = await new CrmVisitor(node.url).get('/static/app.css');
    t.match(css.headers['cache-control'], 'public');
    t.match(css.headers['set-cookie']?.[0], /^CRMSESSID=/);
    const again = await visitor.get('/static/app.js', {
      'if-none-match': (await visitor.get('/static/app.js')).headers.etag ?? '',
    });
    t.equal(again.status, 304);
    t.equal((await visitor.get('/static/crm-node.ts')).status, 404);
  },
);

await tap.test('the habits a gateway has to mend are there', async (t) => {
  const visitor = new CrmVisitor(node.url);
  t.match(JSON.parse((await visitor.get('/healthz')).text), { status: 'ok' });
  const old = await visitor.get('/lead/101');
  t.equal(old.headers.location, `${node.url}/leads/101`, 'its own address and port leak');
  await visitor.signIn('anna');
  t.match(
    (await visitor.get('/profile', { 'x-forwarded-for': '203.0.113.9, 10.0.0.1' })).text,
    '203.0.113.9',
  );
  const echo = await visitor.send('PUT', '/echo?a=1', { 'x-probe': 'yes' }, 'hello');
  t.match(JSON.parse(echo.text), {
    method: 'PUT',
    url: '/echo?a=1',
    bodyBytes: 5,
    headers: { 'x-probe': 'yes' },
  });
});
