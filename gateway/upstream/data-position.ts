/**
 * Where a copy of the data stands, as its node says it. Positions of one form can be compared: whole numbers, and
 * PostgreSQL's log sequence numbers (`16/B374D848`). Of any other text it is only known whether it is the same.
 */
export interface DataPosition {
  readonly text: string;
  readonly form: 'number' | 'lsn' | 'opaque';
  readonly ordinal: bigint;
}

/** A position together with the epoch of the primary that wrote it. */
export interface WritePosition {
  readonly epoch: number;
  readonly position: DataPosition;
}

/** Longer ones are not carried around. */
const POSITION_CHARS = 128;
const NUMBER = /^\d{1,40}$/;
const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;
const VISIBLE = /^[\x21-\x3a\x3c-\x7e]+$/;

/** Reads a position. @returns `undefined` for what is none: empty, too long, with blanks or `;`. */
export function readPosition(text: string): DataPosition | undefined {
  if (text.length > POSITION_CHARS || !VISIBLE.test(text)) return undefined;
  if (NUMBER.test(text)) return { text, form: 'number', ordinal: BigInt(text) };
  const [, high, low] = LSN.exec(text) ?? [];
  if (high !== undefined && low !== undefined) {
    return { text, form: 'lsn', ordinal: (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`) };
  }
  return { text, form: 'opaque', ordinal: 0n };
}

/**
 * Reads the header with which a node says how far a write is in the log: `1234`, or `1234;epoch=8` from a node that
 * also names its epoch.
 *
 * @param knownEpoch the epoch that the node's health document named last.
 */
export function readPositionHeader(value: string, knownEpoch: number): WritePosition | undefined {
  const [text = '', parameter] = value.split(';', 2);
  const position = readPosition(text.trim());
  if (position === undefined) return undefined;
  const named = /^\s*epoch=(\d{1,15})\s*$/.exec(parameter ?? '')?.[1];
  return { epoch: named === undefined ? knownEpoch : Number(named), position };
}

/** Whether a copy that stands at `here` holds everything up to `wanted`. When in doubt it does not. */
export function hasReached(here: DataPosition, wanted: DataPosition): boolean {
  if (here.form !== wanted.form) return false;
  return here.form === 'opaque' ? here.text === wanted.text : here.ordinal >= wanted.ordinal;
}
