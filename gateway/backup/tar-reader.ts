import { GatewayError } from '../core/gateway-error.ts';
import { shownPath } from './archive-path.ts';
import type { ByteReader } from './byte-reader.ts';
import { BLOCK_BYTES, padding, readPaxRecords, readTarHeader, tarEnd, tarHeader } from './tar-format.ts';

/** A path of 4 KiB and a size. */
const PAX_LIMIT_BYTES = 8 * 1024;
const TYPES: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a device',
  '4': 'a device',
  '5': 'a directory',
  '6': 'a pipe',
};

/**
 * Reads the header of the next entry of a tar. It must be, byte for byte, the one that the writer makes for this name
 * and size: then no other program can find other names, links or sizes in it than this one.
 *
 * @returns `undefined` at the end, behind which nothing is. @throws GatewayError `backup_invalid`.
 */
export async function nextEntry(reader: ByteReader): Promise<{ name: string; bytes: number } | undefined> {
  const first = await readBlock(reader);
  if (isZero(first)) {
    await readEnd(reader, first.length);
    return undefined;
  }
  const { type, name, bytes, mtimeMs } = readTarHeader(first);
  if (type === '0') return sameAs(first, { name, bytes, mtimeMs });
  if (type !== 'x') throw damaged(`${shownPath(name)} is ${TYPES[type] ?? 'something else'} and no file`);
  if (bytes > PAX_LIMIT_BYTES) throw damaged('a header is longer than it can be');
  const records = await readExactly(reader, bytes, 'a header');
  const padded = await readExactly(reader, padding(bytes).length, 'a header');
  const second = await readBlock(reader);
  const file = readTarHeader(second);
  const said = readPaxRecords(records);
  if (said === undefined || file.type !== '0')
    throw damaged('a header says something of a file that no gateway says');
  return sameAs(Buffer.concat([first, records, padded, second]), {
    name: said.path ?? file.name,
    bytes: said.size ?? file.bytes,
    mtimeMs,
  });
}

/** Reads what fills up the last block of an entry. @throws GatewayError `backup_invalid` for anything but zeros. */
export async function passPadding(reader: ByteReader, bytes: number): Promise<void> {
  const rest = await readExactly(reader, padding(bytes).length, 'an entry');
  if (!isZero(rest)) throw damaged('something stands between two entries');
}

/** Reads so many bytes. @throws GatewayError `backup_invalid` when there are fewer. */
export async function readExactly(reader: ByteReader, bytes: number, what: string): Promise<Buffer> {
  const body = await reader.read(bytes);
  if (body.length < bytes) throw damaged(`it ends in the middle of ${what}`);
  return body;
}

/** Says that an archive is not what was written. */
export function damaged(what: unknown): GatewayError {
  const says = what instanceof Error ? what.message : String(what);
  return new GatewayError('backup_invalid', `the archive is not what was written: ${says}`, { cause: what });
}

function sameAs(
  is: Buffer,
  { name, bytes, mtimeMs }: { name: string; bytes: number; mtimeMs: number },
): { name: string; bytes: number } {
  if (!is.equals(tarHeader(name, bytes, mtimeMs)))
    throw damaged(`the header of ${shownPath(name)} is not one that a gateway writes`);
  return { name, bytes };
}

async function readEnd(reader: ByteReader, read: number): Promise<void> {
  const rest = await reader.read(tarEnd().length - read);
  if (rest.length + read < tarEnd().length) throw damaged('its end is missing');
  if (!isZero(rest) || !(await reader.isAtEnd())) throw damaged('there is more behind its end');
}

async function readBlock(reader: ByteReader): Promise<Buffer> {
  const block = await reader.read(BLOCK_BYTES);
  if (block.length < BLOCK_BYTES) throw damaged('its end is missing');
  return block;
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
