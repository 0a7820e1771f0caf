import { randomBytes } from 'node:crypto';

import { test } from 'tap';

import { compress, decompress } from '../../gateway/backup/zstd-stream.ts';

async function* bytes(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function all(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

void test('what stands behind the compressed frame is refused', async (t) => {
  const frame = await all(compress(bytes(Buffer.from('a tar'))));
  t.equal((await all(decompress(bytes(frame)))).toString(), 'a tar');
  for (const garbage of [Buffer.alloc(8), Buffer.from('garbage'), Buffer.alloc(300_000, 1)]) {
    await t.rejects(all(decompress(bytes(frame, garbage))), { code: 'backup_invalid' });
    await t.rejects(all(decompress(bytes(Buffer.concat([frame, garbage])))), { code: 'backup_invalid' });
  }
  await t.rejects(all(decompress(bytes(frame.subarray(0, -1)))));
});

void test('whoever stops reading ends the source, and nothing else fails', async (t) => {
  for (const through of [compress, decompress]) {
    const ended = Promise.withResolvers<string>();
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield await all(compress(bytes(randomBytes(65_536))));
      } finally {
        ended.resolve('ended');
      }
    }
    for await (const chunk of through(endless())) if (chunk.length > 0) break;
    t.equal(await ended.promise, 'ended');
  }
});
