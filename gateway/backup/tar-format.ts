import { GatewayError } from '../core/gateway-error.ts';

/** Tar works in blocks of so many bytes. */
export const BLOCK_BYTES = 512;

const NAME_BYTES = 100;
const USTAR = 'ustar\u000000';

/** A header that was read. */
export interface TarHeader {
  readonly name: string;
  readonly bytes: number;
  /** `0` a file, `x` what is said of the next one. */
  readonly type: string;
}

/** The header of a file (POSIX.1-2001 ustar; a long or foreign name in a pax record before it). Mode 0600. */
export function tarHeader(name: string, bytes: number, mtimeMs: number): Buffer {
  const isPlain = Buffer.byteLength(name) <= NAME_BYTES && /^[\x20-\x7e]+$/.test(name);
  if (isPlain) return header(name, bytes, mtimeMs, '0');
  const record = paxRecord('path', name);
  return Buffer.concat([
    header('pax', record.length, mtimeMs, 'x'),
    record,
    padding(record.length),
    header(
      Buffer.from(name)
        .subarray(0, NAME_BYTES)
        .toString('latin1')
        .replaceAll(/[^\x20-\x7e]/g, '_'),
      bytes,
      mtimeMs,
      '0',
    ),
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

/** Reads a header. @returns `undefined` for an empty block: the end. @throws GatewayError `backup_invalid`. */
export function readTarHeader(block: Buffer): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const field = (from: number, length: number) =>
    block.toString('latin1', from, from + length).replace(/\0.*$/s, '');
  const sum = Number.parseInt(field(148, 8).trim(), 8);
  if (sum !== checksum(block)) throw new GatewayError('backup_invalid', 'a header in it is damaged');
  const bytes = Number.parseInt(field(124, 12).trim(), 8);
  if (!Number.isSafeInteger(bytes)) throw new GatewayError('backup_invalid', 'a header in it names no size');
  return { name: field(0, NAME_BYTES), bytes, type: field(156, 1) || '0' };
}

/** The name that a pax record gives the next file. */
export function paxName(record: Buffer): string | undefined {
  return /^\d+ path=([^\n]*)\n/m.exec(record.toString())?.[1];
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
