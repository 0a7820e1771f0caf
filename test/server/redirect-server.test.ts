import { request } from 'node:http';

import tap, { test } from 'tap';

import { startRedirectServer } from '../../gateway/server/redirect-server.ts';

const server = await startRedirectServer({ address: '127.0.0.1', port: 0 }, 8443);
tap.teardown(() => server.close());

function ask(
  host: string,
  path: string,
): Promise<{ status: number | undefined; location: string | undefined }> {
  return new Promise((resolve, reject) => {
    const call = request({ port: server.address.port, path, method: 'POST', headers: { host } }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode, location: answer.headers.location });
    });
    call.on('error', reject);
    call.end();
  });
}

void test('plain HTTP leads to https on the same host, with path and query as they were', async (t) => {
  t.same(await ask('acme.crm.localhost:8080', '/leads?x=1&y=%2f'), {
    status: 308,
    location: 'https://acme.crm.localhost:8443/leads?x=1&y=%2f',
  });
});

void test('a redirect leads nowhere else, whatever the request says', async (t) => {
  t.equal((await ask('evil.test/@crm', '/')).status, 400);
  t.equal((await ask('crm', '//evil.test/')).status, 400);
});
