const UNIT_BYTES: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** What a policy may write where a size is wanted; shown in error messages. */
export const BYTE_SIZE_FORM = 'a number and a unit: 512B, 64KiB, 64MiB, 2GiB';

/**
 * Reads a policy size such as `64KiB`.
 *
 * @returns bytes, or `undefined` when the text is not a size.
 */
export function parseByteSize(text: string): number | undefined {
  const match = /^(\d{1,9})(B|KB|MB|GB|KiB|MiB|GiB|TiB)$/.exec(text);
  const unit = match?.[2] === undefined ? undefined : UNIT_BYTES[match[2]];
  return match && unit !== undefined ? Number(match[1]) * unit : undefined;
}
