import { test } from 'tap';

import { compileTextGlob } from '../../gateway/core/glob.ts';
import { takeCookies } from '../../gateway/pipeline/browser-cookies.ts';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';

const vaulted = compileTextGlob('CRMSESSID');
const stripped = compileTextGlob('login_*');
const take = (header: string) => takeCookies(header, SESSION_COOKIE, vaulted, stripped);

void test('the gateway takes its own cookie out and passes the rest', (t) => {
  t.same(take('__Host-Http-zasov=v1.x'), { token: 'v1.x', rest: '' });
  t.same(take('lang=ru; __Host-Http-zasov=v1.x; theme=dark'), { token: 'v1.x', rest: 'lang=ru; theme=dark' });
  t.same(take(''), { token: undefined, rest: '' });
  t.end();
});

void test("a browser's own copy of a vaulted name, stripped names and all of the gateway's names go no further", (t) => {
  const header = 'CRMSESSID=evil; login_as=admin; __Host-zasov-bound=b; __Host-Http-zasov-pre=p; a=1';
  t.same(take(header), { token: undefined, rest: 'a=1' });
  t.end();
});

void test('a kept name that hides behind another spelling, no name or a comma goes no further either', (t) => {
  for (const header of [
    '=CRMSESSID=evil',
    '=login_as=boss',
    'login.as=boss',
    'login as=boss',
    'login[as]=boss',
    'x=1, CRMSESSID=evil',
    'x=1,login_as=boss',
  ])
    t.same(take(`${header}; a=1`), { token: undefined, rest: 'a=1' }, header);
  t.same(take('x=1, y=2; url=CRMSESSID=1'), { token: undefined, rest: 'x=1, y=2; url=CRMSESSID=1' });
  t.end();
});

void test('two session cookies are refused: one of them was planted', (t) => {
  t.throws(() => take('__Host-Http-zasov=a; __Host-Http-zasov=b'), { code: 'bad_cookie' });
  t.end();
});

void test('pairs without a name keep their text, and white space around names is no disguise', (t) => {
  t.same(take('flag;  CRMSESSID =x; a=b=c'), { token: undefined, rest: 'flag; a=b=c' });
  t.end();
});
