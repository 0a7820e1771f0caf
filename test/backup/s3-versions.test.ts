import { test } from 'tap';

import { EMPTY, failed, says, serve } from './s3-service.ts';
import { readAll } from './target-contract.ts';

void test('a service that does not know versions is read as it is', async (t) => {
  for (const versioning of [says(501, failed('NotImplemented')), says(405), says(200, EMPTY)]) {
    const { target, requests } = await serve(t, [says(200, 'all')], {}, versioning);
    t.equal((await readAll(target, 'zasov-a.age')).toString(), 'all');
    t.same(
      requests.map(({ url }) => url),
      ['/b/zasov-a.age'],
    );
    t.same(await target.warnings(), []);
  }
});

void test('credentials that may not ask for versions may list them; else what they cannot see is told', async (t) => {
  const denied = says(403, failed('AccessDenied'));
  const version = (id: string, tag: string): string =>
    `<Version><Key>zasov-a.age</Key><VersionId>${id}</VersionId><ETag>${tag}</ETag><Size>3</Size></Version>`;
  const listed = `<ListVersionsResult>${version('2', 'new')}${version('1', 'old')}</ListVersionsResult>`;
  const may = await serve(t, [says(200, listed), says(200, listed), says(200, 'all')], {}, denied);
  t.match(await may.target.list('zasov-'), [{ name: 'zasov-a.age', later: { written: 1, deleted: 0 } }]);
  t.equal((await readAll(may.target, 'zasov-a.age')).toString(), 'all');
  t.equal(may.requests.at(-1)?.url, '/b/zasov-a.age?versionId=1');
  const mayNot = await serve(t, [denied, says(200, 'all')], {}, denied);
  t.equal((await readAll(mayNot.target, 'zasov-a.age')).toString(), 'all');
  t.match(await mayNot.target.warnings(), [/grant both/]);
});

void test('a refusal that says nothing of versions is no leave to do without them', async (t) => {
  for (const [status, code] of [
    [403, 'SignatureDoesNotMatch'],
    [404, 'NoSuchBucket'],
    [403, ''],
  ] as const) {
    const { target } = await serve(t, [says(200, 'all')], {}, says(status, code === '' ? '' : failed(code)));
    await t.rejects(readAll(target, 'zasov-a.age'), { code: 'backup_failed' });
  }
});

void test('an upload that was sent twice is no overwriting, and anything else is', async (t) => {
  const entry = (kind: string, tag: string): string =>
    `<${kind}><Key>zasov-a.age</Key><VersionId>${tag}${kind}</VersionId><ETag>${tag}</ETag><Size>3</Size></${kind}>`;
  const cases: [string[], unknown][] = [
    [['a'], undefined],
    [['a', 'a'], undefined],
    [['b', 'a', 'a'], { written: 1, deleted: 0 }],
    [['a', 'b', 'a'], { written: 2, deleted: 0 }],
    [['-', 'b', '-', 'a', '-'], { written: 1, deleted: 2 }],
    [['-'], 'none'],
  ];
  for (const [newestFirst, later] of cases) {
    const entries = newestFirst.map((tag) =>
      tag === '-' ? entry('DeleteMarker', '') : entry('Version', tag),
    );
    const xml = `<ListVersionsResult>${entries.join('')}</ListVersionsResult>`;
    const { target } = await serve(t, [says(200, xml)], { objectLockMs: 1 });
    const [found] = await target.list('zasov-');
    t.same(found === undefined ? 'none' : found.later, later, newestFirst.join(' '));
  }
});
