import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { parseBodyFields } from '../../gateway/policy/body-fields.ts';

const FORM = 'application/x-www-form-urlencoded';
const MULTIPART = 'multipart/form-data; boundary=B';

const form = (text: string | Buffer, type = FORM) => parseBodyFields(type, Buffer.from(text));

function multipart(parts: readonly string[], end = '--B--\r\n', type = MULTIPART) {
  return parseBodyFields(type, Buffer.from(parts.map((part) => `--B\r\n${part}\r\n`).join('') + end));
}

const part = (name: string, value: string, more = '') =>
  `Content-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}`;

await test('urlencoded fields are decoded', (t) => {
  const fields = form(
    'u=Anna+O%27Hara&p=a%26b%3D&empty=&user%5Blogin%5D=x&flag&%D0%B8%D0%BC%D1%8F=%D0%9E%D0%BB%D1%8F',
  );
  t.equal(fields?.form('u'), "Anna O'Hara");
  t.equal(fields?.form('p'), 'a&b=');
  t.equal(fields?.form('empty'), '');
  t.equal(fields?.form('flag'), '');
  t.equal(fields?.form('user[login]'), 'x');
  t.equal(fields?.form('имя'), 'Оля');
  t.equal(fields?.form('none'), undefined);
  t.equal(fields?.json(['u']), undefined);
  t.equal(form('?u=x')?.form('?u'), 'x', 'a question mark is part of the name');
  t.end();
});

await test('only bodies with fields are read, and only small ones', (t) => {
  for (const type of [
    undefined,
    '',
    'text/plain',
    'application/octet-stream',
    'text/xml',
    `${FORM}; charset=utf-16`,
    `${FORM}; a=1; a=2`,
    'multipart/mixed; boundary=B',
  ])
    t.equal(parseBodyFields(type, Buffer.from('u=x')), undefined, type ?? 'no type');
  for (const type of [FORM.toUpperCase(), `${FORM};charset=UTF-8`, `${FORM} ; charset="utf-8"`, `${FORM};`])
    t.equal(form('u=x', type)?.form('u'), 'x', type);
  t.equal(form(`u=${'x'.repeat(65_534)}`)?.form('u')?.length, 65_534);
  t.equal(form(`u=${'x'.repeat(65_535)}`), undefined);
  t.end();
});

await test('what is not UTF-8 names nobody', (t) => {
  t.equal(form(Buffer.from([0x75, 0x3d, 0xff]))?.form('u'), undefined);
  t.equal(form('u=%FF')?.form('u'), undefined);
  t.equal(form('u=%FF&v=x')?.form('v'), 'x');
  const body = Buffer.concat([
    Buffer.from(`--B\r\n${part('u', '')}`),
    Buffer.from([0xff]),
    Buffer.from('\r\n--B--'),
  ]);
  t.equal(parseBodyFields(MULTIPART, body)?.form('u'), undefined);
  t.end();
});

await test('a name that upstreams could read in two ways names nobody, whatever the spelling', (t) => {
  t.equal(form('u=a&u=a')?.form('u'), 'a', 'the same value twice is no question');
  for (const other of ['u=b', '+u=b', 'u[]=b', 'u%5B0%5D=b', 'u%00x=b', '++u=b', 'u=%FF']) {
    t.equal(form(`u=a&${other}`)?.form('u'), undefined, other);
    t.equal(form(`${other}&u=a`)?.form('u'), undefined, other);
  }
  t.equal(form('user_id=a&user.id=b')?.form('user_id'), undefined);
  t.equal(form('user[login]=a&user[password]=b')?.form('user[login]'), 'a', 'fields of one group are apart');
  t.strictSame(form('u=a&u=b&u[]=c&v=d')?.formValues('u'), ['a', 'b', 'c']);
  t.equal(multipart([part('u', 'a'), part('u', 'b')])?.form('u'), undefined);
  t.end();
});

await test('multipart fields are read and files passed over', (t) => {
  const fields = multipart([
    part('action', 'login'),
    part('note', 'two\r\nlines\r\n--b\r\n'),
    part('file', '\0binary', '; filename="a;b.txt"\r\nContent-Type: application/octet-stream'),
    part('quoted %22name%22', 'q'),
    'content-disposition:form-data;name=token\r\ncontent-type: text/plain; charset=utf-8\r\n\r\nt',
    part('empty', ''),
  ]);
  t.equal(fields?.form('action'), 'login');
  t.equal(fields?.form('note'), 'two\r\nlines\r\n--b\r\n');
  t.equal(fields?.form('file'), undefined);
  t.equal(fields?.form('quoted "name"'), 'q');
  t.equal(fields?.form('token'), 't');
  t.equal(fields?.form('empty'), '');
  t.equal(
    multipart([part('u', 'x')], '--B--\r\n', 'Multipart/Form-Data; charset=utf-8; boundary="B"')?.form('u'),
    'x',
  );
  t.equal(multipart([])?.form('u'), undefined);
  t.end();
});

const malformed: readonly [title: string, body: string, type?: string][] = [
  ['no end', `--B\r\n${part('u', 'x')}\r\n`],
  ['something in front', `x\r\n--B\r\n${part('u', 'x')}\r\n--B--`],
  ['something after a delimiter', `--B x\r\n${part('u', 'x')}\r\n--B--`],
  ['bare line feeds', `--B\n${part('u', 'x').replaceAll('\r', '')}\n--B--`],
  ['a delimiter after a bare line feed', `--B\r\n${part('u', `x\n--B\r\n${part('u', 'y')}`)}\r\n--B--`],
  [
    'a header line of two lines',
    `--B\r\nX: y\nContent-Disposition: form-data; name="v"\r\n${part('u', 'x')}\r\n--B--`,
  ],
  ['no headers', `--B\r\n\r\nx\r\n--B--`],
  ['two dispositions', `--B\r\nContent-Disposition: form-data; name="a"\r\n${part('u', 'x')}\r\n--B--`],
  ['two names', `--B\r\n${part('u', 'x', '; name="v"')}\r\n--B--`],
  ['an encoded name', `--B\r\n${part('u', 'x', "; name*=utf-8''v")}\r\n--B--`],
  ['an encoded file name', `--B\r\n${part('u', 'x', "; filename*=utf-8''v")}\r\n--B--`],
  ['an escaped quote', `--B\r\n${part(String.raw`u\"; name=\"v`, 'x')}\r\n--B--`],
  ['a transfer encoding', `--B\r\nContent-Transfer-Encoding: base64\r\n${part('u', 'eA==')}\r\n--B--`],
  ['another disposition', `--B\r\nContent-Disposition: attachment; name="u"\r\n\r\nx\r\n--B--`],
  ['an open quote', `--B\r\nContent-Disposition: form-data; name="u\r\n\r\nx\r\n--B--`],
  ['no boundary', `--B\r\n${part('u', 'x')}\r\n--B--`, 'multipart/form-data'],
  ['an empty boundary', `--\r\n${part('u', 'x')}\r\n----`, 'multipart/form-data; boundary=""'],
  [
    'a boundary of 71 characters',
    `--${'b'.repeat(71)}\r\n${part('u', 'x')}\r\n--${'b'.repeat(71)}--`,
    `multipart/form-data; boundary=${'b'.repeat(71)}`,
  ],
];

for (const [title, body, type] of malformed)
  await test(`a multipart body with ${title} names nobody`, (t) => {
    t.equal(parseBodyFields(type ?? MULTIPART, Buffer.from(body))?.form('u'), undefined);
    t.end();
  });

await test('JSON values are found by their path, as text', (t) => {
  const fields = parseBodyFields(
    'application/json; charset=utf-8',
    Buffer.from(
      JSON.stringify({
        user: { login: 'anna', 'a b': 1 },
        n: 5,
        f: 1.5,
        b: false,
        z: null,
        l: ['x', { y: 2 }],
        s: '',
      }),
    ),
  );
  const found = ['user.login', 'user.a b', 'n', 'f', 'b', 's', 'l.0', 'l.1.y'].map((path) =>
    fields?.json(path.split('.')),
  );
  t.strictSame(found, ['anna', '1', '5', '1.5', 'false', '', 'x', '2']);
  for (const path of [['z'], ['user'], ['l'], ['l', 'length'], ['none'], ['n', 'x'], [], ['s', 'length']])
    t.equal(fields?.json(path), undefined, path.join('.'));
  t.equal(fields?.form('n'), undefined);
  t.strictSame(fields?.formValues('n'), []);
  t.equal(parseBodyFields('application/vnd.api+json', Buffer.from('{"a":"x"}'))?.json(['a']), 'x');
  t.end();
});

await test('nothing comes out of JSON that is not in it', (t) => {
  const json = (text: string) => parseBodyFields('application/json', Buffer.from(text));
  t.equal(json('{"__proto__":{"login":"x"}}')?.json(['login']), undefined);
  t.equal(
    json('{"__proto__":{"login":"x"}}')?.json(['__proto__', 'login']),
    'x',
    'what was sent, and only that',
  );
  for (const path of [
    ['constructor', 'name'],
    ['toString', 'name'],
    ['__proto__', 'constructor', 'name'],
  ])
    t.equal(json('{}')?.json(path), undefined, path.join('.'));
  t.equal(json('{"id":9007199254740993}')?.json(['id']), undefined, 'two large numbers would become one');
  t.equal(json('{"id":1e400}')?.json(['id']), undefined);
  t.equal(json(String.raw`{"id":"\ud800"}`)?.json(['id']), undefined);
  for (const broken of ['', '{', '{"a":1}x', 'undefined', '[', '"', '['.repeat(60_000)])
    t.equal(json(broken)?.json(['a']), undefined);
  t.equal(({} as Record<string, unknown>)['login'], undefined);
  t.end();
});

await test('no body makes the parser throw or take long', (t) => {
  const types = fc.oneof(
    fc.constantFrom(FORM, MULTIPART, 'application/json', `${MULTIPART}; charset=x`),
    fc.string({ unit: fc.constantFrom('a', ';', '=', '"', '/', '\\', ' ', 'boundary'), maxLength: 30 }),
  );
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc
      .array(
        fc.constantFrom(
          '--B',
          '\r\n',
          '\n',
          '--',
          'Content-Disposition: form-data; name="u"',
          'filename="x"',
          ';',
          'u',
          '=',
          '&',
          '%',
          '{',
          '"',
          ':',
          '}',
        ),
        { maxLength: 30 },
      )
      .map((pieces) => Buffer.from(pieces.join(''))),
  );
  fc.assert(
    fc.property(types, bodies, (type, body) => {
      const fields = parseBodyFields(type, body);
      const value = fields?.form('u');
      fields?.json(['u']);
      return value === undefined || fields?.formValues('u').includes(value) === true;
    }),
    { numRuns: 5000 },
  );
  const began = process.cpuUsage();
  const hostile = [
    'u=x&'.repeat(16_000),
    '--B\r\n'.repeat(13_000),
    `--B\r\n${'a: b\r\n'.repeat(10_000)}`,
    '"'.repeat(65_000),
    '%'.repeat(65_000),
  ];
  for (const body of hostile)
    for (const type of [FORM, MULTIPART, 'application/json'])
      parseBodyFields(type, Buffer.from(body))?.form('u');
  parseBodyFields(`text/plain${'; '.repeat(20_000)}`, Buffer.alloc(0));
  parseBodyFields(`text/plain; a="${'\\'.repeat(20_000)}`, Buffer.alloc(0));
  t.ok(process.cpuUsage(began).user < 3_000_000);
  t.end();
});
