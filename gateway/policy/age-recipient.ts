const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const PREFIX = 'age';

/**
 * Whether a text is an age X25519 recipient: Bech32 (BIP 173) of 32 bytes under the prefix `age`. The checksum is
 * verified, because a backup encrypted to a mistyped recipient opens for nobody.
 */
export function isAgeRecipient(text: string): boolean {
  if (!/^age1[02-9ac-hj-np-z]{58}$/.test(text)) return false;
  const digits = Array.from(text.slice(PREFIX.length + 1), (letter) => ALPHABET.indexOf(letter));
  const codes = Array.from(PREFIX, (letter) => letter.charCodeAt(0));
  const expanded = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
  return polymod([...expanded, ...digits]) === 1;
}

function polymod(values: readonly number[]): number {
  let checksum = 1;
  for (const value of values) {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ value;
    for (const [bit, generator] of GENERATOR.entries()) if ((top >>> bit) & 1) checksum ^= generator;
  }
  return checksum >>> 0;
}
