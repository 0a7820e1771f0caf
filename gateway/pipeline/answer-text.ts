import { brotliDecompressSync, constants, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';

import { parseHeaderParameters } from '../policy/header-parameters.ts';

/** The most that a compressed prefix may unfold to. */
const TEXT_BYTES = 64 * 1024;

/**
 * Turns the first part of an answer's body into text, whatever its content coding (RFC 9110 section 8.4.1) and
 * charset. The part may end in the middle of a compressed block; what can be read of it is returned.
 *
 * @returns `undefined` when it cannot be read. Nobody may conclude from a body that he cannot read what it lacks: the
 *   client chooses the coding, and would choose one that hides the failed sign-in.
 */
export function answerText(
  prefix: Buffer,
  encoding: string | undefined,
  contentType: string | undefined,
): string | undefined {
  const bytes = decodePrefix(prefix, encoding?.trim().toLowerCase())?.subarray(0, TEXT_BYTES);
  const charset = parseHeaderParameters(contentType ?? '')?.parameters.get('charset') ?? 'utf-8';
  return bytes === undefined ? undefined : decodeText(bytes, charset);
}

function decodeText(bytes: Buffer, charset: string): string | undefined {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return undefined;
  }
}

function decodePrefix(prefix: Buffer, encoding: string | undefined): Buffer | undefined {
  const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH, ZSTD_e_flush } = constants;
  // A bomb unfolds no further than this; zlib then throws and the body counts as unreadable.
  const maxOutputLength = 16 * 1024 * 1024;
  try {
    switch (encoding) {
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(prefix, { finishFlush: Z_SYNC_FLUSH, maxOutputLength });
      case 'deflate':
        return inflateSync(prefix, { finishFlush: Z_SYNC_FLUSH, maxOutputLength });
      case 'br':
        return brotliDecompressSync(prefix, { finishFlush: BROTLI_OPERATION_FLUSH, maxOutputLength });
      case 'zstd':
        return zstdDecompressSync(prefix, { finishFlush: ZSTD_e_flush, maxOutputLength });
      case undefined:
      case '':
      case 'identity':
        return prefix;
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}
