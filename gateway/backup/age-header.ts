import { MOST_RECIPIENTS } from '../config/backup-place.ts';
import { GatewayError } from '../core/gateway-error.ts';

const VERSION = Buffer.from('age-encryption.org/v1\n');
/** A post-quantum recipient takes 1.6 KiB. */
const LIMIT_BYTES = 128 * 1024;

/**
 * Passes an age file on once its header is there, so that whoever parses it holds no more than a header can be: 128 KiB
 * and 64 recipients.
 *
 * @throws GatewayError `backup_invalid` for what is no age file, or has no end of its header within that.
 */
export async function* boundHeader(sealed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const held = Buffer.alloc(LIMIT_BYTES);
  let length = 0;
  let isWhole = false;
  for await (const chunk of sealed) {
    if (isWhole) {
      yield chunk;
      continue;
    }
    const piece = chunk.subarray(0, LIMIT_BYTES - length);
    held.set(piece, length);
    length += piece.length;
    isWhole = hasWholeHeader(held.subarray(0, length));
    if (!isWhole) continue;
    yield held.subarray(0, length);
    if (piece.length < chunk.length) yield chunk.subarray(piece.length);
  }
  if (!isWhole) throw endsInHeader();
}

/** The same for an age file that is there as a whole. @throws as {@link boundHeader}. */
export function checkHeader(sealed: Uint8Array): void {
  if (!hasWholeHeader(Buffer.from(sealed.subarray(0, LIMIT_BYTES)))) throw endsInHeader();
}

/** What age's specification calls the header ends with the first line that begins with three dashes. */
function hasWholeHeader(begin: Buffer): boolean {
  if (!begin.subarray(0, VERSION.length).equals(VERSION.subarray(0, begin.length)))
    throw new GatewayError('backup_invalid', 'it is no age file');
  const last = begin.indexOf('\n---');
  if (countOf(begin.subarray(0, last === -1 ? begin.length : last), '\n->') > MOST_RECIPIENTS)
    throw new GatewayError(
      'backup_invalid',
      `it is encrypted to more than ${MOST_RECIPIENTS} recipients, which no gateway does`,
    );
  if (last !== -1 && begin.includes('\n', last + 1)) return true;
  if (begin.length < LIMIT_BYTES) return false;
  throw new GatewayError('backup_invalid', 'its header does not end');
}

function endsInHeader(): GatewayError {
  return new GatewayError('backup_invalid', 'it is no age file: it ends in its header');
}

function countOf(text: Buffer, wanted: string): number {
  let count = 0;
  for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, at + 1)) count += 1;
  return count;
}
