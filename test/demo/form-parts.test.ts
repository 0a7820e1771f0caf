import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import tap from 'tap';
import { CrmProblem } from '../../gateway/demo/crm/crm-problem.ts';
import { boundaryOf, readMultipart } from '../../gateway/demo/crm/form-parts.ts';

const BODY = [
  'preamble\r\n--b0\r\nContent-Disposition: form-data; name="csrf"\r\n\r\ntoken\r\n',
  '--b0\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n',
  '--b0\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".bin"\r\nContent-Type: Image/PNG\r\n\r\n',
  '\r\n--b\r\n--b1\r\n-\r\n--b0--\r\nepilogue',
].join('');

/** Reads a body that arrives in pieces of so many bytes. */
async function read(body: string, pieceBytes: number): Promise<unknown[]> {
  const bytes = Buffer.from(body);
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, at) =>
    bytes.subarray(at * pieceBytes, (at + 1) * pieceBytes),
  );
  const parts: unknown[] = [];
  for await (const part of readMultipart(Readable.from(pieces) as unknown as IncomingMessage, 'b0')) {
    const chunks: Buffer[] = [];
    for await (const chunk of part.bytes) chunks.push(chunk);
    parts.push([part.name, part.fileName, part.contentType, Buffer.concat(chunks).toString()]);
  }
  return parts;
}

await tap.test('parts are found wherever the chunks are cut', async (t) => {
  const expected = [
    ['csrf', undefined, 'application/octet-stream', 'token'],
    ['empty', undefined, 'application/octet-stream', ''],
    ['file', 'a "b".bin', 'image/png', '\r\n--b\r\n--b1\r\n-'],
  ];
  for (let pieceBytes = 1; pieceBytes <= BODY.length; pieceBytes += 1)
    t.strictSame(await read(BODY, pieceBytes), expected, `${pieceBytes} bytes a piece`);
});

await tap.test('a body that ends too early is an error, never a short part', async (t) => {
  const end = BODY.indexOf('--b0--') + 5;
  for (let bytes = 0; bytes < end; bytes += 7)
    await t.rejects(read(BODY.slice(0, bytes), 64), new CrmProblem(400, 'the body ended too early'));
});

await tap.test('the boundary is read quoted and bare', async (t) => {
  t.equal(boundaryOf('multipart/form-data; boundary=x-1'), 'x-1');
  t.equal(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b"'), 'a b');
  t.equal(boundaryOf('application/x-www-form-urlencoded'), undefined);
  t.equal(boundaryOf(undefined), undefined);
});
