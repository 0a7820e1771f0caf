import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';

import { GatewayError } from '../core/gateway-error.ts';

const LEVEL = 3;
/** 8 MiB: what a frame may ask a reader to hold. The writer's level needs 2 MiB. */
const WINDOW_BITS = 23;

/** Compresses a stream to one zstd frame. Whoever stops reading ends the source. */
export function compress(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return through(plain, createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: LEVEL } }));
}

/**
 * Decompresses a stream, holding no more than a window of 8 MiB, however much comes out of it. Whoever stops reading
 * ends the source.
 *
 * @throws GatewayError `backup_invalid` for what stands behind the frame; the error of zlib for what is no frame.
 */
export async function* decompress(compressed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of compressed) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  const inflate = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: WINDOW_BITS } });
  yield* through(counted(), inflate);
  if (inflate.bytesWritten !== bytes)
    throw new GatewayError(
      'backup_invalid',
      'the archive is not what was written: there is more behind its end',
    );
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  transform: Transform & { readonly bytesWritten?: number },
): AsyncGenerator<Uint8Array> {
  // A transform that fails or is left fails the other side, and the reader below sees it.
  const piping = pipeline(Readable.from(source, { objectMode: false }), transform).catch(() => undefined);
  try {
    yield* transform as AsyncIterable<Uint8Array>;
  } finally {
    transform.destroy();
    await piping;
  }
}
