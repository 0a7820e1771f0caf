const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
/** By prefix, how many characters of Bech32 stand for the key and its checksum. */
const LENGTHS: Readonly<Partial<Record<string, number>>> = {
  /** X25519: 32 bytes. */
  age: 58,
  /** ML-KEM-768 with X25519, which a quantum computer does not open either: 1216 bytes. */
  age1pq: 1952,
};

/**
 * Whether a text is an age recipient: Bech32 (BIP 173, without its bound on the length) of a public key under the
 * prefix `age` or `age1pq`. The checksum is verified, because a backup encrypted to a mistyped recipient opens for
 * nobody.
 */
export function isAgeRecipient(text: string): boolean {
  const end = text.lastIndexOf('1');
  const prefix = text.slice(0, Math.max(end, 0));
  const digits = Array.from(text.slice(end + 1), (letter) => ALPHABET.indexOf(letter));
  if (LENGTHS[prefix] !== digits.length || digits.includes(-1)) return false;
  const codes = Array.from(prefix, (letter) => letter.charCodeAt(0));
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
