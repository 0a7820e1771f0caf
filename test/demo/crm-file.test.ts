import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import tap from 'tap';
import { launchCrmNode } from '../../gateway/demo/crm/crm-launch.ts';
import { CrmVisitor } from './crm-visitor.ts';

const directory = tap.testdir({});
const node = await launchCrmNode({
  region: 'msk',
  port: 0,
  peers: [],
  secret: 'test',
  dataDirectory: directory,
});
tap.teardown(() => node.close());
const anna = new CrmVisitor(node.url);
await anna.signIn('anna');
const csrf = await anna.token('/profile');

const opening = (token: string, name: string): string =>
  `--b0\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n${token}\r\n` +
  `--b0\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: image/png\r\n\r\n`;
const CLOSING = '\r\n--b0--\r\n';
const MULTIPART = { 'content-type': 'multipart/form-data; boundary=b0' };

async function upload(content: Buffer, name: string, token = csrf): Promise<number> {
  const body = Buffer.concat([Buffer.from(opening(token, name)), content, Buffer.from(CLOSING)]);
  return (await anna.send('POST', '/leads/101/files', MULTIPART, body)).status;
}

async function pathOf(name: string): Promise<string> {
  const card = await anna.get('/leads/101');
  return new RegExp(`href="(/files/[\\w-]+)"[^>]*><b>${name}</b>`).exec(card.text)?.[1] ?? 'none';
}

await tap.test('what was uploaded comes back byte for byte, whole and in ranges', async (t) => {
  const content = randomBytes(300_000);
  t.equal(await upload(content, 'Смета.png'), 302);
  const path = await pathOf('Смета.png');
  const whole = await anna.get(path, { 'accept-encoding': 'gzip' });
  t.equal(whole.status, 200);
  t.ok(whole.bytes.equals(content));
  t.match(whole.headers, {
    'accept-ranges': 'bytes',
    'content-length': '300000',
    'content-type': 'image/png',
  });
  t.match(whole.headers['content-disposition'], `filename*=UTF-8''${encodeURIComponent('Смета.png')}`);
  const part = await anna.get(path, { range: 'bytes=1000-1999' });
  t.equal(part.status, 206);
  t.equal(part.headers['content-range'], 'bytes 1000-1999/300000');
  t.ok(part.bytes.equals(content.subarray(1000, 2000)));
  t.equal((await anna.get(path, { range: 'bytes=300000-' })).status, 416);
  const etag = whole.headers.etag ?? '';
  t.equal((await anna.get(path, { 'if-none-match': etag })).status, 304);
  t.equal((await anna.get(path, { range: 'bytes=0-9', 'if-range': etag })).status, 206);
  t.equal((await anna.get(path, { range: 'bytes=0-9', 'if-range': '"old"' })).status, 200);
  const head = await anna.send('HEAD', path);
  t.strictSame([head.headers['content-length'], head.bytes.length], ['300000', 0]);
});

await tap.test('an empty file is a file', async (t) => {
  t.equal(await upload(Buffer.alloc(0), 'empty.txt'), 302);
  const answer = await anna.get(await pathOf('empty.txt'));
  t.strictSame([answer.status, answer.bytes.length], [200, 0]);
});

await tap.test('without the token, a session or the account nothing is stored or given out', async (t) => {
  const before = readdirSync(`${directory}/files-msk`).length;
  t.equal(await upload(Buffer.from('x'), 'forged.txt', 'wrong'), 403);
  t.equal(readdirSync(`${directory}/files-msk`).length, before);
  const path = await pathOf('Смета.png');
  t.match((await new CrmVisitor(node.url).get(path)).text, 'name="password"');
  const stranger = new CrmVisitor(node.url, 'neva');
  await stranger.signIn('anna');
  t.equal((await stranger.get(path)).status, 404);
});

await tap.test('an upload that breaks off leaves nothing behind', async (t) => {
  const before = readdirSync(`${directory}/files-msk`).length;
  const body = Buffer.from(opening(csrf, 'cut.bin') + 'half');
  t.equal((await anna.send('POST', '/leads/101/files', MULTIPART, body)).status, 400);
  t.equal(readdirSync(`${directory}/files-msk`).length, before);
});

await tap.test('200 MB pass up and down with flat memory', async (t) => {
  const block = randomBytes(1024 * 1024);
  const sent = createHash('sha256');
  function* body(): Generator<Buffer> {
    yield Buffer.from(opening(csrf, 'large.bin'));
    for (let count = 0; count < 200; count += 1) {
      block.writeUInt32BE(count, 0);
      sent.update(block);
      yield Buffer.from(block);
    }
    yield Buffer.from(CLOSING);
  }
  const beforeKb = peakMemoryKb();
  const status = await new Promise<number>((resolve, reject) => {
    const headers = { ...anna.headers(), ...MULTIPART };
    const call = request(new URL('/leads/101/files', node.url), { method: 'POST', headers }, (reply) => {
      reply.resume().on('end', () => resolve(reply.statusCode ?? 0));
    });
    pipeline(Readable.from(body()), call).catch(reject);
  });
  t.equal(status, 302);
  const received = createHash('sha256');
  const path = await pathOf('large.bin');
  await new Promise<void>((resolve, reject) => {
    request(new URL(path, node.url), { headers: anna.headers() }, (reply) => {
      pipeline(reply, received).then(() => resolve(), reject);
    }).end();
  });
  t.equal(received.digest('hex'), sent.digest('hex'));
  t.ok(peakMemoryKb() - beforeKb < 80 * 1024, `grew by ${peakMemoryKb() - beforeKb} kB`);
});

await tap.test('a deleted file is gone from the card and from the disk', async (t) => {
  const path = await pathOf('large.bin');
  t.equal((await anna.post(`${path}/delete`, { csrf })).status, 302);
  t.equal((await anna.get(path)).status, 404);
  // The node answers first and clears the disk then: 200 MB take a moment.
  const isThere = () => readdirSync(`${directory}/files-msk`).includes(path.slice('/files/'.length));
  for (const deadline = Date.now() + 5000; isThere() && Date.now() < deadline;) await pause(20);
  t.notOk(isThere());
});

/** The most memory the node ever held. */
function peakMemoryKb(): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${node.pid}/status`, 'utf8'))?.[1]);
}
