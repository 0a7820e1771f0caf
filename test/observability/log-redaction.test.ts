import { randomBytes } from 'node:crypto';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { assert, property, string } from '../support/property-based.ts';
import { test } from 'tap';
import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { LINE, openLog } from './open-log.ts';

await test('values of a query never reach the log, its names do', async (t) => {
  const { logger, entry } = openLog();
  const pathOf = (search: string, path = '/leads'): unknown => {
    logger.access({ ...LINE, path, search });
    return entry().path;
  };
  t.equal(pathOf('?page=2&sort=name&filter[owner]=7'), '/leads?page=***&sort=***&filter[owner]=***');
  t.equal(pathOf('?q'), '/leads?q');
  t.equal(pathOf('?'), '/leads');
  t.equal(pathOf('?hunter2hunter2hunter2'), '/leads?***', 'a token without a name');
  t.equal(pathOf('?c2VjcmV0IHNlY3JldA=='), '/leads?***', 'base64 with its padding');
  t.equal(pathOf('?%D0%BA%D0%BB%D1%8E%D1%87=x&a=1'), '/leads?***&a=***');
  t.equal(pathOf(`?${'a=1&'.repeat(100)}`), `/leads?${'a=***&'.repeat(20)}***`, 'bounded');
});

await test('a token in a path is masked, names and numbers stay readable', async (t) => {
  const { logger, entry } = openLog();
  const pathOf = (path: string): unknown => {
    logger.access({ ...LINE, path });
    return entry().path;
  };
  t.equal(pathOf(`/reset/${randomBytes(16).toString('hex')}/confirm`), '/reset/***/confirm');
  t.equal(pathOf('/invite/qV3xR8bT1zLmW0pYc5DkJ2'), '/invite/***');
  for (const path of [
    '/leads/6f9619ff-8b86-d011-b42d-00cf4fc964ff/edit',
    '/reports/how-to-configure-2024-quarterly-report',
    '/api/v4/contacts/1234567890123456789',
    '/static/vendor/jquery-3.7.1.min.js',
    '/_media/wiki:dokuwiki-128.png',
  ]) {
    t.equal(pathOf(path), path);
  }
});

await test('nothing from the network can begin a line, end a string or move a cursor', async (t) => {
  const { logger, lines, entry } = openLog();
  const evil = 'a"\n{"level":"error"}\r\u001b[2J\u0085\u2028\u202e\u0000\u007f\ud800\ufeff\\';
  const visible = /^[\u0020-\u007e\u00a0-\u200a\u2010-\u2027\u202f-\u205f\u2070-\ufefe\uff00-\uffef]*\n$/;
  logger.access({ ...LINE, method: evil, host: evil, path: `/${evil}`, account: evil, clientAddress: evil });
  logger.info(`message ${evil}`, { [evil]: evil, nested: { list: [evil] } });
  logger.error('failed', { error: new GatewayError('bad_request', evil) });
  t.equal(lines.length, 3);
  for (const line of lines) t.match(line, visible);
  t.match(entry(), { msg: 'failed' });
  const isSafe = (line: string): boolean =>
    visible.test(line.replaceAll(/[\ud800-\udbff][\udc00-\udfff]/g, ''));
  for (let unit = 0; unit < 0x1_00_00; unit += 1) {
    const text = String.fromCharCode(unit);
    logger.access({ ...LINE, path: text, account: text });
    const line = lines.pop() ?? '';
    if (!isSafe(line)) t.fail(`U+${unit.toString(16)} stands in the line as it came`);
  }
  assert(
    property(string({ unit: 'binary', maxLength: 300 }), (text) => {
      logger.access({ ...LINE, path: text, host: text, account: text, code: text });
      return isSafe(lines.at(-1) ?? '') && entry().msg === 'request';
    }),
    { numRuns: 2000 },
  );
});

await test('every line is bounded, however long its parts', async (t) => {
  const { logger, lines } = openLog();
  const long = 'слово '.repeat(100_000);
  logger.access({ ...LINE, method: long, host: long, path: long, search: `?${long}`, account: long });
  logger.info(long, { text: long, list: Array(1000).fill(long), error: new Error(long) });
  for (const line of lines) t.ok(line.length < 150_000, `${line.length}`);
  t.ok((lines[0]?.length ?? 0) < 4000);
});

await test('secrets in headers, cookies, queries, bodies, objects and causes never appear', async (t) => {
  for (let round = 0; round < 50; round += 1) {
    const { logger, text } = openLog();
    const secrets: string[] = [];
    const keep = (value: string): string => {
      secrets.push(value);
      return value;
    };
    const secret = (): string => keep(randomBytes(24).toString(round % 2 === 0 ? 'hex' : 'base64url'));
    // Where nothing but its looks gives a secret away: one in 10,000 of base64url looks like words, of hex none.
    const bare = (): string => keep(randomBytes(24).toString('hex'));
    const request = new IncomingMessage(new Socket());
    request.url = `/api?key=${secret()}`;
    request.headers = { cookie: `CRMSESSID=${secret()}`, authorization: `Bearer ${secret()}` };
    const foreign = Object.assign(new TypeError(`Invalid value "${secret()}" in header`), {
      code: 'ERR_INVALID_CHAR',
      request,
      options: { headers: { 'x-api-key': secret() } },
      body: `password=${secret()}`,
    });
    const cause = new Error(
      `cannot fetch https://anna:${secret()}@crm.local/x?token=${secret()}#${secret()}`,
      {
        cause: { cookie: secret() },
      },
    );
    const failure = new GatewayError(
      'upstream_failed',
      `the upstream said Set-Cookie: a=${secret()}; Path=/`,
      {
        cause: new AggregateError([foreign, cause], `two failures, ${bare()}`, { cause: foreign }),
      },
    );
    logger.error(`sign-in with key=${secret()} failed`, {
      error: failure,
      request,
      headers: new Headers({ cookie: secret() }),
      rawHeaders: ['Cookie', secret()],
      cookies: [secret()],
      password: secret(),
      masterKey: secret(),
      apiKey: secret(),
      csrfToken: { value: secret() },
      body: secret(),
      bytes: Buffer.from(secret()),
      map: new Map([['a', secret()]]),
      url: new URL(`https://crm.local/a?b=${secret()}`),
      note: `Authorization: Basic ${secret()}`,
      jar: { CRMSESSID: secret() },
      list: [{ deep: { token: secret() } }],
      [bare()]: 1,
      text: `v1.k.${bare()}.0.abc.${bare()}`,
    });
    logger.access({
      ...LINE,
      path: `/reset/${bare()}`,
      search: `?key=${secret()}&${secret()}&x[]=${secret()}=`,
    });
    for (const value of secrets) t.notOk(text().includes(value), `one of ${secrets.length} secrets leaked`);
    t.match(text(), 'ERR_INVALID_CHAR', 'while the code is told');
    t.match(text(), 'log-redaction.test.ts', 'and the place');
    t.match(text(), 'two failures', 'and what happened');
  }
});

await test('even a short secret that a parser quotes in its message is left out', async (t) => {
  const { logger, text } = openLog();
  for (const body of ['{"password": "hunter2"}x', 'hunter2 is it', '{"a":hunter2}', "{'p':'hunter2'}"]) {
    try {
      JSON.parse(body);
    } catch (error) {
      logger.warn('a body was not JSON', { error });
    }
  }
  t.match(text(), 'SyntaxError');
  t.notMatch(text(), 'hunter2');
});
