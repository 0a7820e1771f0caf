import { test } from 'tap';

import { hasReached, readPosition, readPositionHeader } from '../../gateway/upstream/data-position.ts';
import { readHealthDocument } from '../../gateway/upstream/health-document.ts';

void test('the document of the contract is read whole', (t) => {
  const text = '{"status":"ok","role":"primary","epoch":7,"position":"1234","lag_ms":0}';
  t.match(readHealthDocument(text), {
    draining: false,
    statement: { role: 'primary', epoch: 7, position: { text: '1234', ordinal: 1234n }, lagMs: 0 },
  });
  t.match(readHealthDocument('{"role":"replica","position":1234}')?.statement, {
    role: 'replica',
    epoch: undefined,
    position: { text: '1234' },
    lagMs: undefined,
  });
  t.match(readHealthDocument('{"status":"draining","role":"primary"}'), { draining: true });
  t.end();
});

void test('what is no document says nothing and is well', (t) => {
  for (const text of ['', 'ok', '<html>', '[1]', '{"a"', '{"status":"UP","db":"fine"}', '{}'])
    t.same(readHealthDocument(text), { statement: undefined, draining: false }, text);
  t.end();
});

void test('a node that calls itself ill, or says something about its role that cannot be, is not trusted', (t) => {
  for (const text of [
    '{"status":"DOWN"}',
    '{"status":"fail","role":"primary","epoch":1}',
    '{"role":"master"}',
    '{"role":null}',
    '{"role":"primary","epoch":-1}',
    '{"role":"primary","epoch":1.5}',
    '{"role":"primary","epoch":"7"}',
    '{"role":"primary","epoch":1e300}',
    '{"role":"replica","lag_ms":-1}',
    '{"role":"replica","lag_ms":"0"}',
    '{"role":"replica","position":{}}',
    '{"role":"replica","position":""}',
    '{"role":"replica","position":"1;2"}',
  ])
    t.equal(readHealthDocument(text), undefined, text);
  t.end();
});

void test('positions are compared as numbers and as log sequence numbers; anything else only as the same', (t) => {
  const reached = (here: string, wanted: string) => {
    const [one, other] = [readPosition(here), readPosition(wanted)];
    return one !== undefined && other !== undefined && hasReached(one, other);
  };
  t.equal(reached('10', '9'), true);
  t.equal(reached('9', '10'), false);
  t.equal(reached('007', '7'), true);
  t.equal(reached('9007199254740993', '9007199254740992'), true);
  t.equal(reached('9007199254740992', '9007199254740993'), false);
  t.equal(reached('16/B374D848', '16/B374D847'), true);
  t.equal(reached('16/B374D848', '17/0'), false);
  t.equal(reached('F/FFFFFFFF', '10/0'), false);
  t.equal(reached('abc', 'abc'), true);
  t.equal(reached('abd', 'abc'), false);
  t.equal(reached('10', '0/A'), false, 'two forms');
  t.end();
});

void test('the header names a position, and the epoch if the node wants', (t) => {
  t.match(readPositionHeader('1234', 7), { epoch: 7, position: { text: '1234' } });
  t.match(readPositionHeader(' 1234 ; epoch=8', 7), { epoch: 8, position: { text: '1234' } });
  t.match(readPositionHeader('1234;what=8', 7), { epoch: 7 });
  t.equal(readPositionHeader('', 7), undefined);
  t.equal(readPositionHeader('1 2', 7), undefined);
  t.equal(readPositionHeader('x'.repeat(129), 7), undefined);
  t.end();
});
