import { test } from 'tap';
import type { SetCookie } from '../../gateway/core/cookie.ts';
import { CookieJar } from '../../gateway/session/cookie-jar.ts';

const NOW = 1_800_000_000_000;
const cookie = (name: string, value: string, path = '/', expiresAtMs?: number): SetCookie => ({
  name,
  value,
  path,
  expiresAtMs,
});
const jarOf = (...cookies: SetCookie[]): CookieJar => CookieJar.empty.apply(cookies, NOW);

void test('a jar sends back what it was given, and survives being sealed as text', async (t) => {
  const jar = jarOf(cookie('SID', 'a=b"c'), cookie('lang', 'ru'));
  t.equal(jar.header('/any/where', NOW), 'SID=a=b"c; lang=ru');
  t.equal(CookieJar.decode(jar.encode()).header('/', NOW), 'SID=a=b"c; lang=ru');
  t.equal(CookieJar.empty.header('/', NOW), '');
  t.equal(jar.value('lang', NOW), 'ru');
  t.equal(jar.value('none', NOW), undefined);
});

// RFC 6265 section 5.1.4.
const PATHS: [cookiePath: string, requestPath: string, matches: boolean][] = [
  ['/', '/', true],
  ['/', '/a/b', true],
  ['/a', '/a', true],
  ['/a', '/a/b', true],
  ['/a', '/a?b=/', true],
  ['/a', '/ab', false],
  ['/a/', '/a/b', true],
  ['/a/', '/a', false],
  ['/a/b', '/a', false],
  ['/a', '/A', false],
];

for (const [cookiePath, requestPath, matches] of PATHS) {
  void test(`a cookie for ${cookiePath} ${matches ? 'goes' : 'does not go'} to ${requestPath}`, async (t) => {
    const jar = jarOf(cookie('x', '1', cookiePath), cookie('other', '2', '/elsewhere'));
    t.equal(jar.header(requestPath, NOW), matches ? 'x=1' : '');
    t.equal(jar.header(requestPath, NOW), matches ? 'x=1' : '', 'the same when asked again');
  });
}

void test('longer paths come first, then older cookies', async (t) => {
  const jar = jarOf(cookie('a', '1'), cookie('b', '2', '/crm'), cookie('c', '3'), cookie('a', '4', '/crm'));
  t.equal(jar.header('/crm/x', NOW), 'b=2; a=4; a=1; c=3');
});

void test('a cookie replaces the one of the same name and path only', async (t) => {
  const jar = jarOf(cookie('a', '1'), cookie('a', '2', '/crm')).apply([cookie('a', '3')], NOW);
  t.equal(jar.header('/crm', NOW), 'a=2; a=3');
});

void test('an expiry in the past deletes, also by zero, and deleting nothing is no change', async (t) => {
  const jar = jarOf(cookie('a', '1'), cookie('b', '2'));
  t.equal(jar.apply([cookie('a', 'deleted', '/', 0)], NOW).header('/', NOW), 'b=2');
  t.equal(jar.apply([cookie('b', '', '/', NOW)], NOW).header('/', NOW), 'a=1');
  t.equal(jar.apply([cookie('none', '', '/', 0)], NOW), jar);
});

void test('a cookie is sent until it expires and not after, header cache or not', async (t) => {
  const jar = jarOf(cookie('a', '1', '/', NOW + 1000), cookie('b', '2', '/', NOW + 2000), cookie('c', '3'));
  t.equal(jar.header('/', NOW), 'a=1; b=2; c=3');
  t.equal(jar.header('/', NOW + 999), 'a=1; b=2; c=3');
  t.equal(jar.header('/', NOW + 1000), 'b=2; c=3');
  t.equal(jar.header('/', NOW + 2000), 'c=3');
  t.equal(jar.value('a', NOW + 1000), undefined);
});

void test('an answer that repeats what the jar holds changes nothing, a sliding expiry hardly ever', async (t) => {
  const jar = jarOf(cookie('a', '1'), cookie('b', '2', '/', NOW + 100_000));
  t.equal(jar.apply([cookie('a', '1')], NOW), jar);
  t.equal(jar.apply([cookie('b', '2', '/', NOW + 105_000)], NOW + 5000), jar);
  const later = jar.apply([cookie('b', '2', '/', NOW + 150_000)], NOW + 50_000);
  t.not(later, jar);
  t.equal(later.value('b', NOW + 149_999), '2');
  t.not(jar.apply([cookie('a', '1', '/', NOW + 9)], NOW), jar, 'a session cookie that gets an expiry');
});

void test('cookies that would break the header they are sent in are passed over', async (t) => {
  for (const bad of ['a\r\nX: y', 'a\u0000', 'a\u007f', '\u0416'])
    t.equal(jarOf(cookie('x', bad)), CookieJar.empty);
  t.equal(jarOf(cookie('x', 'y'.repeat(5000))), CookieJar.empty);
});

void test('a jar stays bounded, the oldest cookies make room', async (t) => {
  const many = Array.from({ length: 80 }, (_, index) => cookie(`c${index}`, 'x'));
  const jar = jarOf(...many);
  t.equal(jar.size, 50);
  t.equal(jar.value('c79', NOW), 'x');
  t.equal(jar.value('c0', NOW), undefined);
});
