import { GatewayError } from '../core/gateway-error.ts';

/** Tar works in blocks of so many bytes. */
export const BLOCK_BYTES = 512;

const NAME_BYTES = 100;
const USTAR = 'ustar\u000000';
/** Eleven octal digits: 8 GiB less one byte. A longer file has its size in a pax record. */
const MOST_OCTAL = 0o77777777777;
const ODD = 'the archive is not what was written: a header in it is damaged';

/** A header that was read. */
interface TarHeader {
  readonly name: string;
  readonly bytes: number;
  readonly mtimeMs: number;
  /** `0` a file, `x` what is said of the next one. */
  readonly type: string;
}

/**
 * The header of a file (POSIX.1-2001 ustar, mode 0600). A long or foreign name and a size of 8 GiB and more stand in a
 * pax record before it.
 */
export function tarHeader(name: string, bytes: number, mtimeMs: number): Buffer {
  const isPlain = Buffer.byteLength(name) <= NAME_BYTES && /^[\x20-\x7e]+$/.test(name);
  const isLong = bytes > MOST_OCTAL;
  if (isPlain && !isLong) return header(name, bytes, mtimeMs, '0');
  const records = Buffer.concat([
    ...(isPlain ? [] : [paxRecord('path', name)]),
    ...(isLong ? [paxRecord('size', String(bytes))] : []),
  ]);
  const short = Buffer.from(name)
    .subarray(0, NAME_BYTES)
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]/g, '_');
  return Buffer.concat([
    header('pax', records.length, mtimeMs, 'x'),
    records,
    padding(records.length),
    header(short, isLong ? 0 : bytes, mtimeMs, '0'),
  ]);
}

/** What fills up the last block of a file. */
export function padding(bytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** What a tar ends with. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK_BYTES);
}

/**
 * Reads a header. What stands in its other fields is for the caller to compare with what a writer makes of these.
 *
 * @throws GatewayError `backup_invalid` when its checksum is wrong, or a number in it is none.
 */
export function readTarHeader(block: Buffer): TarHeader {
  const field = (from: number, length: number) =>
    block.toString('latin1', from, from + length).replace(/\0.*$/s, '');
  const octal = (from: number, length: number) => {
    const text = field(from, length).trim();
    if (!/^[0-7]{1,12}$/.test(text)) throw new GatewayError('backup_invalid', ODD);
    return Number.parseInt(text, 8);
  };
  if (octal(148, 8) !== checksum(block)) throw new GatewayError('backup_invalid', ODD);
  return {
    name: field(0, NAME_BYTES),
    bytes: octal(124, 12),
    mtimeMs: octal(136, 12) * 1000,
    type: field(156, 1),
  };
}

/**
 * What pax records say of the next file (POSIX.1-2001 pax, extended header).
 *
 * @returns `undefined` for what is no such record, and for one that says anything but its path and size.
 */
export function readPaxRecords(
  records: Buffer,
): { readonly path?: string; readonly size?: number } | undefined {
  const found: { path?: string; size?: number } = {};
  for (let from = 0; from < records.length;) {
    const space = records.indexOf(0x20, from);
    const digits = records.toString('latin1', from, space === -1 ? from : space);
    const length = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0;
    const record = records.subarray(space + 1, from + length);
    const [, key, value = ''] = /^(path|size)=(.+)\n$/s.exec(record.toString()) ?? [];
    if (from + length > records.length) return undefined;
    if (key === 'path') found.path = value;
    else if (key === 'size' && /^\d{1,16}$/.test(value)) found.size = Number(value);
    else return undefined;
    from += length;
  }
  return found;
}

function header(name: string, bytes: number, mtimeMs: number, type: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, length: number) => value.toString(8).padStart(length - 1, '0');
  block.write(name, 0, NAME_BYTES, 'latin1');
  block.write(octal(0o600, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(bytes, 12), 124);
  block.write(octal(Math.floor(mtimeMs / 1000), 12), 136);
  block.write(type, 156);
  block.write(USTAR, 257, 'latin1');
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** The sum of all bytes, with spaces for the sum itself. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (const [index, byte] of block.entries()) if (index < 148 || index >= 156) sum += byte;
  return sum;
}

function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length > length) length += 1;
  return Buffer.from(`${length}${rest}`);
}
