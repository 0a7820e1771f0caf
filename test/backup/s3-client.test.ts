import { AwsV4Signer } from 'aws4fetch';
import { test } from 'tap';

import { lacksRoom } from '../../gateway/backup/backup-target.ts';
import { readRefusal, refusalFailure } from '../../gateway/backup/s3-failure.ts';
import { type Answer, EMPTY, breaksOff, failed, says, serve } from './s3-service.ts';
import { namesOf, pieces, readAll } from './target-contract.ts';

void test('requests are signed as Amazon’s documentation computes it', async (t) => {
  // "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", examples of Amazon S3.
  const signature = async (search: string): Promise<string> => {
    const signer = new AwsV4Signer({
      url: `https://examplebucket.s3.amazonaws.com/${search}`,
      headers: { 'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' },
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      service: 's3',
      region: 'us-east-1',
      datetime: '20130524T000000Z',
    });
    return await signer.signature();
  };
  t.equal(await signature('?lifecycle'), 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543');
  t.equal(
    await signature('?max-keys=2&prefix=J'),
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  );
});

void test('a busy service and a broken line are tried again with growing pauses', async (t) => {
  const answers = [
    says(503, failed('SlowDown')),
    breaksOff,
    says(429),
    says(500, '<html>'),
    says(200, EMPTY),
  ];
  const { target, requests, pauses } = await serve(t, answers);
  t.same(await namesOf(target), []);
  t.same(pauses, [250, 1000, 3000, 9000]);
  t.equal(new Set(requests.map(({ headers }) => headers.authorization)).size, 1);
  t.match(
    requests[0]?.headers.authorization,
    /^AWS4-HMAC-SHA256 Credential=AK\/\d{8}\/eu-1\/s3\/aws4_request, /,
  );
});

void test('a service that stays busy fails the call after the last pause, and a refusal at once', async (t) => {
  const busy = await serve(t, [says(503, failed('SlowDown'))]);
  await t.rejects(busy.target.list(''), { code: 'backup_failed', message: /answers 503 SlowDown/ });
  t.equal(busy.requests.length, 5);
  const closed = await serve(t, [says(403, failed('AccessDenied'))]);
  await t.rejects(closed.target.list(''), {
    message: /access is denied: the credentials lack s3:ListBucket/,
  });
  t.equal(closed.requests.length, 1);
});

void test('the session token goes along, signed', async (t) => {
  const credentials = { accessKeyId: 'AK', secretAccessKey: 'SK', sessionToken: 'TOKEN' };
  const { target, requests } = await serve(t, [says(200, EMPTY)], { credentials });
  await target.list('');
  t.equal(requests[0]?.headers['x-amz-security-token'], 'TOKEN');
  t.match(requests[0]?.headers.authorization, /SignedHeaders=[^,]*x-amz-security-token/);
});

void test('a bucket is addressed by path, and what is in it under the prefix', async (t) => {
  const { target, requests } = await serve(t, [says(404)], { prefix: 'p/q/' });
  await t.rejects(readAll(target, 'zasov-a.age'));
  await target.list('journal/').catch(() => undefined);
  t.equal(requests[0]?.url, '/b/p/q/zasov-a.age');
  t.equal(requests[1]?.url, '/b?list-type=2&prefix=p%2Fq%2Fjournal%2F');
});

void test('a prefix that leads elsewhere is refused', async (t) => {
  for (const prefix of ['../', 'a/../b/', './', '/', 'a//b', 'a/./'])
    await t.rejects(serve(t, [says(200)], { prefix }), { code: 'backup_failed' }, prefix);
  for (const prefix of ['', 'a', 'a/', '.a/', 'a/..b', 'a.b/c..']) await serve(t, [says(200)], { prefix });
});

void test('an endpoint that is no S3 service is told as that', async (t) => {
  const page = await serve(t, [says(200, '<!DOCTYPE html><title>Welcome</title>')]);
  await t.rejects(page.target.list(''), { code: 'backup_failed', message: /not the XML of an S3 service/ });
  const endless = await serve(t, [says(200, 'x'.repeat(5_000_000))]);
  await t.rejects(endless.target.list(''), { message: /longer than any/ });
  const moved = await serve(t, [says(301, failed('PermanentRedirect'), { location: 'http://127.0.0.1:1/' })]);
  await t.rejects(moved.target.list(''), { message: /at another endpoint/ });
});

void test('a completion that answers 200 with an error is no success', async (t) => {
  const answer =
    (complete: string): Answer =>
    (request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(404).end();
      if (request.method === 'POST' && request.url?.endsWith('?uploads=') === true)
        return void response.end('<R><UploadId>u1</UploadId></R>');
      return void response.writeHead(200, { etag: '"e"' }).end(request.method === 'POST' ? complete : '');
    };
  const body = () => pieces(Buffer.alloc(17 * 1024 * 1024));
  const { target, requests } = await serve(t, [answer(`<?xml version="1.0"?>\n${failed('InvalidPart')}`)]);
  await t.rejects(target.put('zasov-a.age', body()), { code: 'backup_failed', message: /200 InvalidPart/ });
  t.equal(requests.at(-1)?.method, 'DELETE', 'the upload is given up');
  const passing = await serve(t, [answer(failed('InternalError'))]);
  await t.rejects(passing.target.put('zasov-a.age', body()), { message: /200 InternalError/ });
  t.same(passing.pauses, [250, 1000, 3000, 9000]);
});

void test('a name that somebody else took first is refused by the service itself', async (t) => {
  const { target, requests } = await serve(t, [says(404), says(412, failed('PreconditionFailed'))]);
  await t.rejects(target.put('zasov-a.age', pieces('x')), { message: /exists already/ });
  t.equal(requests[1]?.headers['if-none-match'], '*');
  t.equal(requests.length, 2, 'and nothing of theirs is removed');
});

void test('a lost answer does not make another’s object one’s own', async (t) => {
  const theirs: Answer = (_, response) => void response.end('theirs');
  const answers = [says(404), breaksOff, says(412, failed('PreconditionFailed')), theirs];
  const { target, requests } = await serve(t, answers);
  await t.rejects(target.put('zasov-a.age', pieces('mine')), { message: /exists already/ });
  t.same(
    requests.map(({ method }) => method),
    ['HEAD', 'PUT', 'PUT', 'GET'],
    'and is not removed',
  );
});

void test('reading goes on where the line broke, also at a service that knows no ranges', async (t) => {
  const whole = Buffer.from('0123456789');
  const half: Answer = (_, response) => {
    response.writeHead(200, { 'content-length': '10', etag: '"e"' });
    response.write(whole.subarray(0, 4), () => response.socket?.destroySoon());
  };
  const rest = await serve(t, [half, (_, response) => void response.writeHead(206).end(whole.subarray(4))]);
  t.equal((await readAll(rest.target, 'zasov-a.age')).toString(), '0123456789');
  t.match(rest.requests[1]?.headers, { range: 'bytes=4-', 'if-match': '"e"' });
  const again = await serve(t, [half, says(200, '0123456789')]);
  t.equal((await readAll(again.target, 'zasov-a.age')).toString(), '0123456789');
  const changed = await serve(t, [half, says(412, failed('PreconditionFailed'))]);
  await t.rejects(readAll(changed.target, 'zasov-a.age'), { message: /412 PreconditionFailed/ });
});

void test('http to another machine is warned of, and loopback is not', async (t) => {
  const { target } = await serve(t, [says(200)]);
  t.same(await target.warnings(), []);
  const far = await serve(t, [says(200)], { endpoint: 'http://s3.example' });
  t.match(await far.target.warnings(), [/without TLS/]);
});

void test('each refusal says what to do, and repeats nothing of the service’s own text', (t) => {
  const attempt = {
    what: 'write a',
    where: 'the bucket b',
    bucket: 'b',
    permission: 's3:PutObject',
    nowMs: 0,
  };
  const told = (status: number, text: string): string =>
    refusalFailure(attempt, readRefusal(status, text, 'Thu, 01 Jan 1970 01:00:00 GMT')).message;
  const error = (code: string, more = ''): string =>
    `<Error><Code>${code}</Code><Message>SECRET</Message>${more}</Error>`;
  const cases: [number, string, RegExp][] = [
    [403, '', /lack s3:PutObject/],
    [
      403,
      error('RequestTimeTooSkewed'),
      /here it is 1970-01-01T00:00:00.000Z, there Thu, 01 Jan 1970 01:00:00 GMT/,
    ],
    [400, error('AuthorizationHeaderMalformed', '<Region>eu-7</Region>'), /in the region eu-7/],
    [403, error('ExpiredToken'), /token has expired/],
    [400, error('BadDigest'), /other bytes than were sent/],
    [507, '', /no room left/],
    [418, '<html>teapot</html>', /answers 418$/],
    [400, error('So&lt;Odd'), /answers 400$/],
  ];
  for (const [status, text, message] of cases) {
    t.match(told(status, text), message);
    t.notMatch(told(status, text), /SECRET/);
  }
  const failureOf = (status: number, text: string) => refusalFailure(attempt, readRefusal(status, text, ''));
  t.ok(lacksRoom(failureOf(403, error('QuotaExceeded'))) && lacksRoom(failureOf(507, '')));
  t.notOk(lacksRoom(failureOf(403, '')), 'only those make room by what has had its time');
  t.end();
});
