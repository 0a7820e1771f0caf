import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { test } from 'tap';

import { fetchDump, runDump, runRestore } from '../../gateway/backup/include-source.ts';

async function* bytes(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function all(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

void test('a source that writes nothing, hangs or is not there fails', async (t) => {
  const dump = (command: string[], timeoutMs = 10_000) => all(runDump(command, { timeoutMs }));
  t.equal((await dump(['echo', 'all'])).toString(), 'all\n');
  await t.rejects(dump(['true']), { code: 'backup_failed', message: /wrote nothing/ });
  await t.rejects(dump(['sleep', '60'], 50), { message: /took longer/ });
  await t.rejects(dump(['/no/such/program']), { code: 'backup_failed', message: /ENOENT/ });
  const file = join(t.testdir({}), 'out');
  await runRestore(['tee', file], bytes('one ', 'two'), { timeoutMs: 10_000 });
  t.equal(readFileSync(file, 'utf8'), 'one two');
  await t.rejects(runRestore(['sh', '-c', 'exit 4'], bytes('x'.repeat(1 << 20)), { timeoutMs: 10_000 }), {
    message: /ended with 4/,
  });
});

void test('an export over HTTP is taken with its token, and only when it is whole', async (t) => {
  const server = createServer((asked, answer) => {
    if (asked.headers.authorization !== 'Bearer secret') answer.writeHead(401).end();
    else if (asked.url === '/cut')
      answer.writeHead(200, { 'content-length': '100' }).write('half', () => answer.destroy());
    else answer.end(asked.url === '/empty' ? '' : 'export');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fetched = (path: string, token = 'secret') =>
    all(fetchDump(origin + path, token, { timeoutMs: 5000 }));
  t.equal((await fetched('/all')).toString(), 'export');
  for (const path of ['/cut', '/empty']) await t.rejects(fetched(path), { code: 'backup_failed' });
  await t.rejects(fetched('/all', 'wrong'), { code: 'backup_failed', message: /answered 401/ });
  server.close();
});

void test('what a command complains about is one bounded line, and nothing in it is obeyed', async (t) => {
  const complaint = (script: string) =>
    all(runDump(['sh', '-c', script], { timeoutMs: 10_000 })).then(
      () => 'it did not fail',
      (error: unknown) => (error as Error).message,
    );
  const coloured = await complaint(
    `printf '\\033[31mpg_dump:\\033[0m error:\\r\\n\\tno \\033]0;title\\007such\\302\\233 database\\342\\200\\256\\000\\n' >&2; exit 3`,
  );
  t.equal(coloured, 'sh: it ended with 3: pg_dump: error: no such database');
  const long = await complaint('yes "no such table" | head -c 5000000 >&2; echo the last word >&2; exit 1');
  t.ok(long.length < 1100, `${long.length} characters`);
  t.match(long, /^sh: it ended with 1: ….*no such tabl.*the last word$/);
  t.notMatch(long, /\p{Cc}/u);
});

void test('a dump is given up when it is silent while it is waited for, and not because its reader is slow', async (t) => {
  const limits = { timeoutMs: 20_000, idleMs: 150 };
  const steady = 'for n in 1 2 3 4 5 6; do echo $n; sleep 0.05; done';
  t.equal((await all(runDump(['sh', '-c', steady], limits))).toString(), '1\n2\n3\n4\n5\n6\n');
  await t.rejects(all(runDump(['sh', '-c', 'echo begin; sleep 60'], limits)), {
    code: 'backup_failed',
    message: /^sh: it wrote nothing for/,
  });
  const taken: number[] = [];
  for await (const chunk of runDump(['sh', '-c', 'echo one; echo two'], limits)) {
    taken.push(chunk.length);
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
  t.ok(taken.length > 0, 'the time that the reader took does not count');
});

void test('what a dump has started and left behind ends with it, and cannot hold up the backup', async (t) => {
  const began = performance.now();
  const limits = { timeoutMs: 300 };
  await t.rejects(all(runDump(['sh', '-c', 'echo begin; sleep 60 & exit 0'], limits)), {
    message: /took longer/,
  });
  await t.rejects(all(runDump(['setsid', '-w', 'sh', '-c', 'setsid sleep 5 & exit 0'], limits)), {
    message: /took longer/,
  });
  t.ok(performance.now() - began < 5000);
});

void test('an export that is silent or slow says so, and its query stays out of what is said', async (t) => {
  const server = createServer((asked, answer) => {
    if (asked.url?.startsWith('/silent') === true) answer.writeHead(200).write('begin');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const said = (path: string, limits: { timeoutMs: number; idleMs?: number }) =>
    all(fetchDump(`${origin}${path}?token=hidden`, undefined, limits)).then(String, (error: unknown) =>
      (error as Error).message.replace(origin, ''),
    );
  t.equal(await said('/silent', { timeoutMs: 60_000, idleMs: 1000 }), '/silent: it sent nothing for 1 s');
  t.equal(await said('/never', { timeoutMs: 60_000, idleMs: 1000 }), '/never: it sent nothing for 1 s');
  t.equal(await said('/never', { timeoutMs: 1000 }), '/never: it took longer than 1 s');
  server.closeAllConnections();
  server.close();
});
