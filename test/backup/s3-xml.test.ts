import { test } from 'tap';

import { parseXml, textOf } from '../../gateway/backup/s3-xml.ts';
import { assert, property, string } from '../support/property-based.ts';

void test('an answer of a service is read: declarations, name spaces, entities, CDATA, empty elements', (t) => {
  const root = parseXml(
    `<?xml version="1.0" encoding="UTF-8"?>\n<!-- x --><s3:List xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/" a='1'>
      <Key>a&amp;b&lt;c&gt;&quot;&apos;&#65;&#x1F600;</Key><Tag><![CDATA[<&>]]></Tag><Empty/><Key>second</Key></s3:List>`,
  );
  t.equal(root.name, 'List');
  t.equal(textOf(root, 'Key'), 'a&b<c>"\'A😀');
  t.equal(textOf(root, 'Tag'), '<&>');
  t.equal(textOf(root, 'Empty'), '');
  t.equal(textOf(root, 'Missing'), '');
  t.equal(root.children.length, 4);
  t.end();
});

void test('what is not whole, or could expand, is refused', (t) => {
  const cases = [
    '',
    'text',
    '<a>',
    '</a>',
    '<a></b>',
    '<a/><b/>',
    '<a>&nbsp;</a>',
    '<a>&#0;</a>',
    '<a>&#xD800;</a>',
    '<a>&#x110000;</a>',
    '<a>& b</a>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a b=c/>',
    '<a><![CDATA[x</a>',
    `${'<a>'.repeat(20)}${'</a>'.repeat(20)}`,
  ];
  for (const text of cases) t.throws(() => parseXml(text), { code: 'backup_failed' }, text);
  t.end();
});

void test('any text that is written as XML is read as it was', (t) => {
  const names: Readonly<Record<string, string>> = { '<': 'lt', '>': 'gt', '&': 'amp' };
  assert(
    property(string({ unit: 'grapheme' }), (text) => {
      const written = text.replaceAll(/[<>&]/g, (character) => `&${names[character]};`);
      return parseXml(`<a>${written}</a>`).text === text;
    }),
  );
  t.end();
});

void test('nothing else than XML takes long to be refused', (t) => {
  const startMs = performance.now();
  for (const text of [
    '<'.repeat(200_000),
    '<a '.repeat(100_000),
    '<!--'.repeat(100_000),
    '&'.repeat(200_000),
    `<a ${'b="c" '.repeat(50_000)}`,
  ])
    t.throws(() => parseXml(text), { code: 'backup_failed' });
  t.ok(performance.now() - startMs < 2000);
  t.end();
});
