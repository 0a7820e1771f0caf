import { test } from 'tap';
import { compileAnswerRule, type AnswerMatch } from '../../gateway/policy/compile-answer-rule.ts';
import { parseBodyFields } from '../../gateway/policy/body-fields.ts';
import { compileRequestRule, type RequestMatch } from '../../gateway/policy/compile-request-rule.ts';
import type { AnswerHead } from '../../gateway/policy/recognition.ts';
import { requestOf } from '../support/policy-fixture.ts';

const heads: readonly { match: RequestMatch; request: Parameters<typeof requestOf>; holds: boolean }[] = [
  { match: { path: ['/a'] }, request: ['GET', '/a'], holds: true },
  { match: { path: ['/a'] }, request: ['GET', '/A'], holds: false },
  { match: { path: ['/%'] }, request: ['GET', '/%25'], holds: true },
  { match: { path: ['/a', '/b', '/c', '/d', '/e/**'] }, request: ['GET', '/c'], holds: true },
  { match: { path: ['/a', '/b', '/c', '/d', '/e/**'] }, request: ['GET', '/e/x'], holds: true },
  { match: { path: ['/a', '/b', '/c', '/d', '/e/**'] }, request: ['GET', '/f'], holds: false },
  { match: { method: ['POST'] }, request: ['GET', '/'], holds: false },
  { match: { method: ['POST', 'PUT'] }, request: ['PUT', '/'], holds: true },
  { match: { method: ['GET'] }, request: ['HEAD', '/'], holds: false },
  { match: { host: ['*.crm.localhost'] }, request: ['GET', 'https://neva.crm.localhost/'], holds: true },
  { match: { host: ['*.crm.localhost'] }, request: ['GET', 'https://crm.localhost/'], holds: false },
  { match: { query: { do: ['admin'] } }, request: ['GET', '/?do=admin'], holds: true },
  { match: { query: { do: ['admin'] } }, request: ['GET', '/?do=administer'], holds: false },
  { match: { query: { do: ['admin'] } }, request: ['GET', '/?Do=admin'], holds: false },
  { match: { query: { do: ['*'] } }, request: ['GET', '/?do='], holds: true },
  { match: { query: { do: ['*'] } }, request: ['GET', '/'], holds: false },
  { match: { query: { do: ['a', 'b*'] } }, request: ['GET', '/?x=1&do=bc'], holds: true },
  { match: { header: { 'X-Mode': ['a*'] } }, request: ['GET', '/', { 'x-mode': 'abc' }], holds: true },
  { match: { header: { 'X-Mode': ['*'] } }, request: ['GET', '/'], holds: false },
  { match: { network: ['10.0.0.0/8'] }, request: ['GET', '/', {}, '10.1.1.1'], holds: true },
  { match: { network: ['10.0.0.0/8'] }, request: ['GET', '/', {}, '11.1.1.1'], holds: false },
  { match: { path: ['/a'], method: ['GET'], query: { x: ['1'] } }, request: ['GET', '/a?x=1'], holds: true },
  { match: { path: ['/a'], method: ['GET'], query: { x: ['1'] } }, request: ['GET', '/a?x=2'], holds: false },
];

for (const { match, request, holds } of heads)
  await test(`${JSON.stringify(match)} ${holds ? 'means' : 'does not mean'} ${JSON.stringify(request)}`, async (t) => {
    const rule = compileRequestRule(match, 'grants');
    t.equal(rule.head(requestOf(...request)), holds);
    t.equal(rule.body, undefined);
    const reason = rule.mismatch?.(requestOf(...request));
    if (holds) t.equal(reason, undefined);
    else t.type(reason, 'string');
  });

await test('a parameter in a second spelling gets past no rule that keeps out, and into none that lets in', async (t) => {
  const denies = compileRequestRule({ query: { do: ['admin'] } }, 'restricts');
  const allows = compileRequestRule({ query: { do: ['show'] } }, 'grants');
  for (const search of [
    'do=show&do=admin',
    'do=admin&do=show',
    'do=show&+do=admin',
    'do=show&do[]=admin',
    'do=show&do%00x=admin',
    'do=show&do[x][y]=admin',
  ]) {
    t.equal(denies.head(requestOf('GET', `/?${search}`)), true, `denies ${search}`);
    t.equal(allows.head(requestOf('GET', `/?${search}`)), false, `does not allow ${search}`);
  }
  t.equal(allows.head(requestOf('GET', '/?do=show&do=show')), true);
  const underscore = compileRequestRule({ query: { user_id: ['1'] } }, 'restricts');
  for (const name of ['user_id', 'user.id', 'user+id'])
    t.equal(underscore.head(requestOf('GET', `/?${name}=1`)), true, name);
});

const form = (text: string) => parseBodyFields('application/x-www-form-urlencoded', Buffer.from(text));
const json = (value: unknown) => parseBodyFields('application/json', Buffer.from(JSON.stringify(value)));

const bodies: readonly {
  title: string;
  match: RequestMatch;
  when?: Parameters<typeof compileRequestRule>[2];
  fields: ReturnType<typeof form>;
  holds: boolean;
}[] = [
  {
    title: 'a form value',
    match: { form: { action: ['login'] } },
    fields: form('action=login&u=x'),
    holds: true,
  },
  {
    title: 'another form value',
    match: { form: { action: ['login'] } },
    fields: form('action=logout'),
    holds: false,
  },
  { title: 'an absent field', match: { form: { u: ['*'] } }, fields: form('x=1'), holds: false },
  { title: 'a present empty field', match: { form: { u: ['*'] } }, fields: form('u='), holds: true },
  { title: 'a form that is JSON', match: { form: { u: ['*'] } }, fields: json({ u: 'x' }), holds: false },
  { title: 'two fields', match: { form: { a: ['1'], b: ['2'] } }, fields: form('a=1&b=3'), holds: false },
  {
    title: 'a field given twice',
    match: { form: { do: ['login'] } },
    fields: form('do=x&do=login'),
    holds: true,
  },
  {
    title: 'a JSON value',
    match: { json: { 'user.action': ['in'] } },
    fields: json({ user: { action: 'in' } }),
    holds: true,
  },
  { title: 'a JSON number', match: { json: { id: ['5'] } }, fields: json({ id: 5 }), holds: true },
  { title: 'an absent JSON value', match: { json: { id: ['*'] } }, fields: json({ id: null }), holds: false },
  { title: 'a new password', match: {}, when: { form: ['new'] }, fields: form('new=x'), holds: true },
  { title: 'an empty new password', match: {}, when: { form: ['new'] }, fields: form('new='), holds: false },
  { title: 'no new password', match: {}, when: { form: ['new'] }, fields: form('old=x'), holds: false },
  {
    title: 'a new password hidden behind an empty one',
    match: {},
    when: { form: ['new'] },
    fields: form('new=&new=x'),
    holds: true,
  },
  {
    title: 'a new JSON password',
    match: {},
    when: { json: ['p.new'] },
    fields: json({ p: { new: 'x' } }),
    holds: true,
  },
  {
    title: 'an empty JSON password',
    match: {},
    when: { json: ['p.new'] },
    fields: json({ p: { new: '' } }),
    holds: false,
  },
];

for (const { title, match, when, fields, holds } of bodies)
  await test(`${title} ${holds ? 'is' : 'is not'} what the rule asks of a body`, async (t) => {
    const rule = compileRequestRule({ path: ['/x'], ...match }, 'restricts', when);
    t.ok(fields);
    t.equal(fields && rule.body?.(fields), holds);
  });

function answer(
  status: number,
  headers: Readonly<Record<string, string[]>> = {},
  setsCookies: string[] = [],
): AnswerHead {
  return { status, values: (name) => headers[name] ?? [], setsCookies };
}

const away = { location: ['/'] };
const answers: readonly { match: AnswerMatch; answer: AnswerHead; holds: boolean }[] = [
  { match: { status: [302, 303] }, answer: answer(303), holds: true },
  { match: { status: [302, 303] }, answer: answer(200), holds: false },
  { match: { location: ['/home'] }, answer: answer(302, { location: ['/home'] }), holds: true },
  { match: { location: ['/home'] }, answer: answer(302), holds: false },
  { match: { location: ['!/login*'] }, answer: answer(302, away), holds: true },
  { match: { location: ['!/login*'] }, answer: answer(302, { location: ['/login?failed'] }), holds: false },
  {
    match: { location: ['!/login*'] },
    answer: answer(302, { location: ['http://127.0.0.1:9101/login'] }),
    holds: false,
  },
  { match: { location: ['!/login*'] }, answer: answer(302, { location: ['login?x'] }), holds: false },
  { match: { location: ['!/login*'] }, answer: answer(302, { location: ['./login'] }), holds: false },
  { match: { location: ['!/login*'] }, answer: answer(302, { location: ['/x/../login'] }), holds: false },
  { match: { location: ['!/login*'] }, answer: answer(302, { location: ['//host/login'] }), holds: false },
  { match: { location: ['!/login*'] }, answer: answer(302, { location: ['http://['] }), holds: true },
  { match: { location: ['!/login*'] }, answer: answer(200), holds: true },
  { match: { location: ['!/a*', '!/b*'] }, answer: answer(302, { location: ['/b'] }), holds: false },
  { match: { location: ['/a*', '!/ab*'] }, answer: answer(302, { location: ['/ab'] }), holds: false },
  { match: { location: ['/a*', '!/ab*'] }, answer: answer(302, { location: ['/ac'] }), holds: true },
  {
    match: { location: ['https://crm.example/*'] },
    answer: answer(302, { location: ['https://crm.example/x'] }),
    holds: true,
  },
  { match: { sets_cookie: ['DW*'] }, answer: answer(302, {}, ['a', 'DW1']), holds: true },
  { match: { sets_cookie: ['DW*'] }, answer: answer(302, {}, ['a']), holds: false },
  {
    match: { header: { 'Cache-Control': ['*no-store*'] } },
    answer: answer(200, { 'cache-control': ['private, no-store'] }),
    holds: true,
  },
  { match: { header: { 'Cache-Control': ['*no-store*'] } }, answer: answer(200), holds: false },
  {
    match: { header: { 'cache-control': ['!*no-store*'] } },
    answer: answer(200, { 'cache-control': ['a', 'no-store'] }),
    holds: false,
  },
  { match: { status: [302], location: ['!/login*'] }, answer: answer(200, away), holds: false },
];

for (const { match, answer: given, holds } of answers)
  await test(`${JSON.stringify(match)} ${holds ? 'is' : 'is not'} met by ${given.status} ${given.values('location').join()}${given.values('cache-control').join()} ${given.setsCookies.join()}`, async (t) => {
    t.equal(compileAnswerRule(match).head(given), holds);
  });

await test('body_has wants all of its texts, body_lacks none', async (t) => {
  const rule = compileAnswerRule({ body_has: ['Hello', 'Log out'], body_lacks: ['wrong'] });
  t.equal(rule.head(answer(500)), true);
  t.equal(rule.body?.('Hello … Log out'), true);
  t.equal(rule.body?.('Hello'), false);
  t.equal(rule.body?.('Hello Log out wrong'), false);
  t.equal(rule.body?.('hello Log out'), false);
  t.equal(compileAnswerRule({ status: [200] }).body, undefined, 'nothing is read that no rule asks for');
});
