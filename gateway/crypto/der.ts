import forge from 'node-forge';

const { asn1 } = forge;

/** A node of an ASN.1 tree. */
export type Asn1 = forge.asn1.Asn1;

/** node-forge types every tag number by its enumeration of the universal ones; these are the context tags 0 to 7. */
const CONTEXT_TAGS = {
  0: asn1.Type.NONE,
  2: asn1.Type.INTEGER,
  3: asn1.Type.BITSTRING,
  7: asn1.Type.ODESC,
} as const;
type ContextTag = keyof typeof CONTEXT_TAGS;

/** A universal node: constructed of others, or primitive with its bytes as Latin-1 text. */
function universal(type: forge.asn1.Type, value: string | Asn1[]): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, type, typeof value !== 'string', value);
}

/** An implicitly tagged primitive. */
export function tagged(tag: ContextTag, value: string): Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, CONTEXT_TAGS[tag], false, value);
}

/** An explicit tag around others. */
export function explicit(tag: ContextTag, value: Asn1[]): Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, CONTEXT_TAGS[tag], true, value);
}

/** SEQUENCE. */
export const sequence = (value: Asn1[]): Asn1 => universal(asn1.Type.SEQUENCE, value);
/** SET. */
export const set = (value: Asn1[]): Asn1 => universal(asn1.Type.SET, value);
/** OCTET STRING. */
export const octets = (value: string): Asn1 => universal(asn1.Type.OCTETSTRING, value);
/** INTEGER of big-endian bytes. */
export const integer = (value: string): Asn1 => universal(asn1.Type.INTEGER, value);
/** BOOLEAN. */
export const boolean = (value: boolean): Asn1 => universal(asn1.Type.BOOLEAN, value ? '\u00ff' : '\0');
/** OBJECT IDENTIFIER from its dotted form. */
export const oid = (value: string): Asn1 => universal(asn1.Type.OID, asn1.oidToDer(value).getBytes());
/** NULL. */
export const none = (): Asn1 => universal(asn1.Type.NULL, '');
/** Bytes as the Latin-1 text that node-forge works with. */
export const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
/** The DER of a tree. */
export const der = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');
/** The types of node-forge know the older form of its second parameter only. */
const STRICT = { strict: true, parseAllBytes: true, decodeBitStrings: false } as unknown as boolean;

/** Reads DER; BIT STRINGs are kept as bytes. @throws Error when it is none. */
export const readDer = (bytes: Uint8Array): Asn1 => asn1.fromDer(binary(bytes), STRICT);

/** The parts of a constructed node. @throws Error when it is a primitive. */
export function partsOf(node: Asn1 | undefined): Asn1[] {
  if (node === undefined || typeof node.value === 'string') throw new Error('not a constructed ASN.1 value');
  return node.value;
}

/** The bytes of a primitive. @throws Error when it is constructed. */
export function bytesOf(node: Asn1 | undefined): Buffer {
  if (node === undefined || typeof node.value !== 'string') throw new Error('not a primitive ASN.1 value');
  return Buffer.from(node.value, 'latin1');
}

/** UTCTime through 2049, GeneralizedTime after it (RFC 5280 section 4.1.2.5). */
export function time(atMs: number): Asn1 {
  const date = new Date(atMs);
  return date.getUTCFullYear() < 2050
    ? universal(asn1.Type.UTCTIME, asn1.dateToUtcTime(date))
    : universal(asn1.Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

/** UTF8String. @param text any text. */
export const utf8 = (text: string): Asn1 => universal(asn1.Type.UTF8, binary(Buffer.from(text)));
/** BIT STRING of whole bytes. */
export const bits = (bytes: Uint8Array): Asn1 => universal(asn1.Type.BITSTRING, `\0${binary(bytes)}`);
/** BIT STRING of a few named bits, of which so many at the end are unused. */
export const namedBits = (value: number, unused: number): Asn1 =>
  universal(asn1.Type.BITSTRING, String.fromCharCode(unused, value));
