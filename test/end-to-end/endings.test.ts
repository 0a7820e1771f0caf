/** Every way in which an upstream shows that somebody signed out or changed a password. */
import tap, { test } from 'tap';
import type { Sending } from '../support/https-client.ts';
import type { AnswerRequest } from '../support/recording-upstream.ts';
import { answer, json, multipart, startRecognitionBench, subjectOf } from './recognition-bench.ts';

const bench = await startRecognitionBench();
tap.teardown(() => bench.close());

const ENDS: [title: string, method: string, path: string, sending: Sending, reply: AnswerRequest][] = [
  ['a path', 'GET', '/logout', {}, answer(302, { location: '/' })],
  ['a query', 'GET', '/page?do=logout', {}, answer(200)],
  ['a form', 'POST', '/page', { form: { action: 'bye' } }, answer(200)],
  ['a statement of the CRM', 'GET', '/any', {}, answer(200, { 'zasov-session': 'end' })],
];
for (const [title, method, path, sending, answered] of ENDS)
  await test(`a session ends by ${title}, and the cookie goes with the answer`, async (t) => {
    const person = await bench.signedIn('olga');
    t.equal(await subjectOf(person), 'olga');
    const { setCookies } = await bench.ask(person, [method, path, sending], answered);
    t.match(setCookies.join(), /^__Host-Http-zasov=; .*Max-Age=0$/);
    t.equal(await subjectOf(person), undefined);
  });

const CHANGES: [title: string, path: string, sending: Sending, reply: AnswerRequest, ends: boolean][] = [
  [
    'a form with a new password',
    '/password',
    { form: { new_password: 'x' } },
    answer(200, {}, 'saved'),
    true,
  ],
  [
    'a multipart form with a new password',
    '/password',
    multipart([
      ['name', 'O'],
      ['new_password', 'x'],
    ]),
    answer(200),
    true,
  ],
  [
    'a form without a new password',
    '/password',
    { form: { new_password: '' } },
    answer(200, {}, 'saved'),
    false,
  ],
  [
    'a new password that is refused',
    '/password',
    { form: { new_password: 'x' } },
    answer(200, {}, 'wrong old password'),
    false,
  ],
  ['an administrator for somebody', '/users?id=pavel', json({ password: 'x' }), answer(200), true],
  [
    'an administrator for somebody in other letters',
    '/users?id=PAVEL',
    json({ password: 'x' }),
    answer(200),
    true,
  ],
  ['an administrator for somebody else', '/users?id=other', json({ password: 'x' }), answer(200), false],
  ['an administrator who changes something else', '/users?id=pavel', json({ name: 'x' }), answer(200), false],
  [
    'a statement of the CRM',
    '/any',
    {},
    answer(200, { 'zasov-event': 'credentials-changed; subject="pavel"' }),
    true,
  ],
];
for (const [title, path, sending, answered, ends] of CHANGES)
  await test(`${ends ? 'all sessions of a person end' : 'no session ends'} by ${title}`, async (t) => {
    const phone = await bench.signedIn('pavel');
    const laptop = await bench.signedIn('pavel');
    const admin = await bench.signedIn('admin');
    const who = path.startsWith('/password') ? laptop : admin;
    t.equal((await bench.ask(who, ['POST', path, sending], answered)).status, 200);
    for (const device of [phone, laptop]) t.equal(await subjectOf(device), ends ? undefined : 'pavel');
    t.equal(await subjectOf(admin), 'admin');
  });

await test('an answer that comes after the sign-out is held back, and its time is told right', async (t) => {
  const person = await bench.signedIn('rita');
  const otherTab = bench.newClient();
  for (const name of person.jar.names()) otherTab.jar.set(name, person.jar.get(name) ?? '');
  const { status } = await bench.ask(person, ['GET', '/slow', {}], (_request, response) => {
    const signOut = bench.ask(otherTab, ['GET', '/logout', {}], answer(302, { location: '/' }));
    void signOut.then(() => response.end('the data of rita'));
  });
  t.equal(status, 401);
  const line = await bench.accessLine('/slow');
  t.match(line, { status: 401, code: 'session_ended' });
  t.ok(Number(line['gateway_ms']) >= 0, `${String(line['gateway_ms'])} ms in the gateway`);
});
