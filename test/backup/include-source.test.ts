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
