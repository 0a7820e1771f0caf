/** What somebody makes who has the public key of a gateway, or a copy of its archives: bytes made by hand. */
import { test } from 'tap';

import { isSafePath } from '../../gateway/backup/archive-path.ts';
import { ByteReader } from '../../gateway/backup/byte-reader.ts';
import { padding, tarEnd, tarHeader } from '../../gateway/backup/tar-format.ts';
import { nextEntry } from '../../gateway/backup/tar-reader.ts';
import {
  CREATED_MS,
  file,
  forge,
  type Forgery,
  HEAD,
  outcome,
  sha256,
  stream,
} from '../support/forged-archive.ts';
import * as fc from '../support/property-based.ts';

const GOOD = [
  'secrets/master.key',
  'policies/a.yaml',
  'policies/b.yaml',
  'audit/heads/a.head',
  'audit/trail/a.jsonl',
  'data/a',
  'data/a-b',
  'data/c/d',
  'store/keys-00001.jsonl',
  'store/keys-00002.jsonl',
  'store/sessions-00001.jsonl',
  'include/db/000001',
  'include/db/000002',
  'include/a/000001',
];

/** Changes one field of a header and makes its checksum right again. */
function field(at: number, value: string | Buffer): (whole: Buffer) => Buffer {
  return (whole) => {
    const copy = Buffer.from(whole);
    copy.set(Buffer.from(value), at);
    copy.fill(' ', 148, 156);
    const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return copy;
  };
}

void test('every path has its place: none twice, none out of order, no part left out, nothing that leads elsewhere', async (t) => {
  t.same(await outcome(forge(GOOD)), { seen: GOOD, says: undefined });
  t.same(await outcome(forge([])), { seen: [], says: undefined });
  const bad: [paths: string[], says: RegExp][] = [
    [['data/a', 'data/a'], /"data\/a" is in it twice/],
    [['secrets/master.key', 'secrets/master.key'], /twice/],
    [['include/db/000001', 'include/db/000001'], /twice/],
    [['data/b', 'data/a'], /"data\/a" stands behind "data\/b"/],
    [['data/a', 'audit/trail/a.jsonl'], /stands behind/],
    [['store/keys-00001.jsonl', 'store/records-00001.jsonl'], /stands behind/],
    [['include/db/000001', 'data/a'], /stands behind/],
    [['store/keys-00002.jsonl'], /stands where part 1 belongs/],
    [['store/keys-00001.jsonl', 'store/keys-00003.jsonl'], /stands where part 2 belongs/],
    [['include/db/000000'], /part 1/],
    [['include/db/000001', 'include/db/000003'], /part 2/],
    [['include/db/000001', 'include/a/000001', 'include/db/000002'], /do not follow each other/],
    [['data/a', 'data/a-b', 'data/a/b'], /"data\/a" is a file and a folder/],
    ...[
      'zasov.json',
      'data',
      'other/a',
      'secrets/other',
      'secrets/master.key/a',
      'store/others-00001.jsonl',
      'Data/a',
      'store/keys-00001.json',
      'includes/db/000001',
      'policies',
      'audit/other',
    ].map((path): [string[], RegExp] => [[path], /nothing that an archive holds|no part of anything/]),
    ...['store/keys-1.jsonl', 'store/keys-.jsonl', 'include/db', 'include/db/1', 'include/a/b/000001'].map(
      (path): [string[], RegExp] => [[path], /is no part of anything/],
    ),
    ...['policies/a/b.yaml', 'audit/heads/a/b.head'].map((path): [string[], RegExp] => [
      [path],
      /in a folder/,
    ]),
    ...[
      '/data/a',
      '/',
      '../a',
      'data/../a',
      'data/..',
      'data/./a',
      'data//a',
      'data/a/',
      'data/',
      'policies/',
      'data/a\\b',
      'data/a\u001B[2J',
      'data/a\nb',
      'data/\u009B2J',
      'C:\\a',
      `data/${'x'.repeat(4096)}`,
    ].map((path): [string[], RegExp] => [[path], /it names a file/]),
  ];
  for (const [paths, says] of bad) {
    const found = await outcome(forge(paths));
    t.match(found.says, says, JSON.stringify(paths));
    t.same(found.seen, paths.slice(0, -1), 'and the last of them reaches nobody');
    t.notMatch(found.says, /\p{Cc}/u, 'and a terminal shows it as it is');
  }
});

void test('an accepted archive has every path once, in order, and each leads where it belongs', async (t) => {
  const parts = [
    'data/',
    'include/',
    'db/',
    'a',
    'a/',
    '..',
    '/',
    '.',
    '000001',
    '000002',
    'store/keys-',
    '00001',
  ];
  const path = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...GOOD) },
    fc.array(fc.constantFrom(...parts, '.jsonl', '\\', 'имя', '\u202E')).map((each) => each.join('')),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(path, { maxLength: 6 }), async (paths) => {
      const { seen, says } = await outcome(forge(paths));
      if (says !== undefined) return;
      t.same(seen, paths);
      t.equal(new Set(paths).size, paths.length);
      t.ok(paths.every(isSafePath));
    }),
    { numRuns: 500 },
  );
});

void test('links, devices and headers that no gateway writes are refused, so that no other program reads something else', async (t) => {
  const types = ['1', '2', '3', '4', '5', '6', '7', 'g', 'L', 'K', 'S', 'X', '\0'];
  const spoilt: [(whole: Buffer) => Buffer, RegExp][] = [
    ...types.map((type): [(whole: Buffer) => Buffer, RegExp] => [field(156, type), /and no file/]),
    [field(157, '/etc/passwd'), /not one that a gateway writes/],
    [field(345, 'prefix'), /not one that a gateway writes/],
    [field(100, '0004755'), /not one that a gateway writes/],
    [field(9, 'x'), /not one that a gateway writes/],
    [field(257, 'ustar  \0'), /not one that a gateway writes/],
    [field(500, 'x'), /not one that a gateway writes/],
    [field(124, Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])), /damaged/],
    [field(124, '-0000000001'), /damaged/],
    [field(124, '0x000000010'), /damaged/],
    [field(124, '            '), /damaged/],
    [field(124, '         16\0'), /not one that a gateway writes/],
    [(whole) => whole.fill('x', whole.length - 1), /between two entries/],
    [(whole) => whole.fill('1', 148, 149), /damaged/],
  ];
  for (const [spoil, says] of spoilt) {
    const { seen, says: is } = await outcome(forge(['data/a', 'data/c/d'], { spoil: { 'data/c/d': spoil } }));
    t.match(is, says);
    t.ok(seen[0] === 'data/a' && (seen.length === 1 || says.source.includes('between')), 'not handed out');
  }
  const link = tarHeader('data/b', 0, CREATED_MS);
  const symbolic = field(156, Buffer.from(`2/etc/cron.d/x`))(link);
  t.match(await outcome(forge(['data/b'], { spoil: { 'data/b': () => symbolic } })), {
    seen: [],
    says: /"data\/b" is a symbolic link and no file/,
  });
});

function pax(records: string, then: Buffer, type = 'x'): Buffer {
  const body = Buffer.from(records);
  const [first] = [tarHeader('pax', body.length, CREATED_MS)];
  return Buffer.concat([field(156, type)(first), body, padding(body.length), then]);
}

void test('what a pax record says counts only as the writer writes it', async (t) => {
  const name = `data/${'long/'.repeat(30)}имя`;
  t.same(await outcome(forge([name])), { seen: [name], says: undefined });
  const plain = file('data/a', Buffer.from('x'));
  const record = (text: string) => {
    const length = text.length + 3;
    return `${length} ${text}`.length === length ? `${length} ${text}` : `${length + 1} ${text}`;
  };
  const spoilt: Record<string, Buffer> = {
    'a link': pax(record('linkpath=/etc/passwd\n'), plain),
    'a sparse file': pax(record('GNU.sparse.name=/etc/passwd\n'), plain),
    'a name that needs none': pax(record('path=data/a\n'), plain),
    'another name': pax(record('path=data/b\n'), plain),
    'two names': pax(record('path=data/a\n') + record('path=data/b\n'), plain),
    'another size': pax(record('size=2\n'), plain),
    'a size below nothing': pax(record('size=-1\n'), plain),
    nothing: pax('', plain),
    'no length': pax('path=data/a\n', plain),
    'a length of 0': pax('0 path=data/a\n', plain),
    'a length behind the end': pax('99 path=data/a\n', plain),
    'no line break': pax('11 path=data', plain),
    'bytes that are no text': pax(record('path=data/\xFF\n'), plain),
    'two of them': pax(record('path=data/b\n'), pax(record('path=data/b\n'), plain)),
    'one for what follows': pax(record('path=data/b\n'), plain, 'g'),
    'more than there can be': pax(`9000 path=data/${'x'.repeat(8980)}\n`, plain),
    'nothing behind it': pax(record('path=data/b\n'), Buffer.alloc(1024)),
  };
  for (const [what, bytes] of Object.entries(spoilt))
    t.match(
      await outcome(forge(['data/a'], { spoil: { 'data/a': () => bytes } })),
      { seen: [], says: /./ },
      what,
    );
});

void test('an archive and its manifest name the same: nothing more, nothing less, nothing else', async (t) => {
  const paths = ['secrets/master.key', 'data/a', 'store/keys-00001.jsonl'];
  const cases: Record<string, Forgery> = {
    'an entry that the manifest lacks': { manifest: (entries) => entries.slice(0, -1) },
    'an entry that the manifest lacks in the middle': { manifest: (entries) => entries.toSpliced(2, 1) },
    'an entry that is only in the manifest': {
      manifest: (entries) => [...entries, { path: 'include/db/000001', bytes: 1, sha256: '' }],
    },
    'an entry twice in the manifest': { manifest: (entries) => [...entries, entries.at(-1)] },
    'another order': { manifest: (entries) => entries.toReversed() },
    'another size': { manifest: ([head, ...rest]) => [{ ...head, bytes: 1 }, ...rest] },
    'no rows at all': { manifest: () => [null] },
    'rows of something else': { manifest: () => [{ path: 1 }] },
    'a section that the manifest lacks': { sections: () => [] },
    'a section twice': { sections: (rows) => [...rows, ...rows] },
    'a section that is only in the manifest': {
      sections: (rows) => [...rows, { name: 'records', records: 1, sha256: sha256('x') }],
    },
    'another number of records': { sections: ([row]) => [{ ...row, records: 2 }] },
    'sections of something else': { sections: () => [{ name: null }] },
    'one block of its end': { end: Buffer.alloc(512) },
    'no end': { end: Buffer.alloc(0) },
    'half a block more': { end: Buffer.alloc(1024 + 256) },
    'a block of zeros more': { end: Buffer.alloc(1536) },
    'an entry behind its end': { end: Buffer.concat([tarEnd(), file('data/z', Buffer.from('z')), tarEnd()]) },
    'an entry behind the manifest': { end: Buffer.concat([file('data/z', Buffer.from('z')), tarEnd()]) },
    'a second manifest': { end: Buffer.concat([file('manifest.json', Buffer.from('{}')), tarEnd()]) },
  };
  t.equal((await outcome(forge(paths))).says, undefined);
  for (const [what, forgery] of Object.entries(cases))
    t.match(await outcome(forge(paths, forgery)), { says: /^the archive is not what was written/ }, what);
});

void test('a head that is none is refused before anything is made of it', async (t) => {
  const changes: Record<string, unknown>[] = [
    { format: 2 },
    { kind: 'other' },
    { created_ms: 9e15 },
    { created_ms: -1 },
    { created_ms: '1' },
    { node: '\u001B[2J' },
    { node: 'x'.repeat(257) },
    { version: 7 },
    { id: null },
    { signer: undefined },
    { journal: null },
    { journal: { seq: 1.5, hash: '' } },
    { kids: 'x' },
    { kids: [1] },
  ];
  for (const change of changes)
    t.match(
      await outcome(forge(['data/a'], { head: { ...HEAD, ...change } })),
      { seen: [], says: /its head cannot be read/ },
      JSON.stringify(change),
    );
  for (const head of ['null', '[]', '7', '{', ''])
    t.match(await outcome(file('zasov.json', Buffer.from(head))), { says: /its head cannot be read/ });
  const long = file('zasov.json', Buffer.alloc(65 * 1024, ' '));
  t.match(await outcome(long), { says: /longer than it can be/ });
});

void test('a file of 8 GiB and more keeps its size, which other programs read too', async (t) => {
  const GIB = 1024 ** 3;
  for (const bytes of [0, 1, 8 * GIB - 1, 8 * GIB, 20 * GIB, 64 * GIB, 5000 * GIB]) {
    for (const name of ['data/db', `data/${'long/'.repeat(30)}имя`]) {
      const reader = new ByteReader(stream(tarHeader(name, bytes, CREATED_MS)));
      t.same(await nextEntry(reader), { name, bytes }, `${bytes}`);
    }
  }
  const header = tarHeader('data/db', 20 * GIB, CREATED_MS);
  t.match(header.toString('latin1'), /20 size=21474836480\n/);
  t.equal(header.length, 3 * 512);
  const wrong = await outcome(
    forge(['data/a'], { spoil: { 'data/a': () => tarHeader('data/a', 20 * GIB, CREATED_MS) } }),
  );
  t.match(wrong, { says: /ends in the middle/ });
});
