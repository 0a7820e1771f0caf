import { test } from 'tap';

import { rewriteLocation } from '../../gateway/pipeline/answer-headers.ts';
import { prefersRussian } from '../../gateway/pipeline/problem-page.ts';
import type { RequestContext } from '../../gateway/pipeline/request-context.ts';

/** A context as far as a `Location` needs it. */
const context = {
  host: 'acme.crm.test',
  message: { authority: 'acme.crm.test:8443' },
  snapshot: { upstreams: { nodeAt: (host: string) => (host === '127.0.0.1:9101' ? {} : undefined) } },
} as unknown as RequestContext;

const LOCATIONS: [string, string][] = [
  ['/leads', '/leads'],
  ['leads?x=1', 'leads?x=1'],
  ['', ''],
  ['http://127.0.0.1:9101/leads?x=1#a', 'https://acme.crm.test:8443/leads?x=1#a'],
  ['http://acme.crm.test:8443/', 'https://acme.crm.test:8443/'],
  ['http://ACME.crm.test/x', 'https://acme.crm.test:8443/x'],
  ['//127.0.0.1:9101', 'https://acme.crm.test:8443/'],
  ['http://127.0.0.1:9101?q', 'https://acme.crm.test:8443/?q'],
  ['https://elsewhere.test/login', 'https://elsewhere.test/login'],
  ['http://127.0.0.1:9102/', 'http://127.0.0.1:9102/'],
  ['http://acme.crm.test:8443@evil.test/', 'http://acme.crm.test:8443@evil.test/'],
  ['mailto:a@b.test', 'mailto:a@b.test'],
];

for (const [from, to] of LOCATIONS) {
  void test(`Location ${JSON.stringify(from)} becomes ${JSON.stringify(to)}`, (t) => {
    t.equal(rewriteLocation(context, from), to);
    t.end();
  });
}

void test('a page is Russian where the reader prefers it, English otherwise', (t) => {
  for (const header of ['ru', 'ru-RU,ru;q=0.9,en;q=0.8', 'en;q=0.5, RU', 'de, ru;q=0.1'])
    t.ok(prefersRussian(header), header);
  for (const header of ['', 'en', 'en, ru;q=0.9', 'ru;q=0', 'de', 'ru;q=x', `${'x,'.repeat(300)}ru`]) {
    t.notOk(prefersRussian(header), header);
  }
  t.end();
});
