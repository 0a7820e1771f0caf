import { isIP } from 'node:net';

/** What the first bytes of a connection turned out to be. */
export type ProxyHeader =
  /** More bytes are needed to say. */
  | { readonly kind: 'incomplete' }
  /** No PROXY header, or one that breaks the rules. */
  | { readonly kind: 'bad' }
  /** `address`: the client's; `undefined` when the proxy speaks for itself, as in a health check. */
  | { readonly kind: 'whole'; readonly bytes: number; readonly address: string | undefined };

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };
const BAD: ProxyHeader = { kind: 'bad' };
const SIGNATURE_2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const SIGNATURE_1 = Buffer.from('PROXY ', 'latin1');
/** Longest line of version 1, with CR and LF. */
const LINE_BYTES = 107;
const HEAD_BYTES = 16;
/** Longest part behind the head of version 2; the specification asks for 216 at least, and extensions want room. */
const BODY_BYTES = 4096;
const LINE_1 =
  /^PROXY TCP(?<family>[46]) (?<source>[^ ]+) (?<destination>[^ ]+) (?<from>0|[1-9]\d{0,4}) (?<to>0|[1-9]\d{0,4})$/;

/**
 * Reads the header that a load balancer puts before everything else on a connection, to say where it came from (the
 * PROXY protocol, versions 1 and 2, as HAProxy's `proxy-protocol.txt` has it). Strict: what is not exactly a header is
 * bad, because whoever writes it decides what address is believed.
 *
 * @param received all bytes so far; what follows the header may be among them.
 */
export function readProxyHeader(received: Buffer): ProxyHeader {
  if (startsAlike(received, SIGNATURE_2)) {
    return received.length < HEAD_BYTES ? INCOMPLETE : readVersion2(received);
  }
  if (startsAlike(received, SIGNATURE_1)) return readVersion1(received);
  return BAD;
}

function startsAlike(received: Buffer, signature: Buffer): boolean {
  const length = Math.min(received.length, signature.length);
  return received.subarray(0, length).equals(signature.subarray(0, length));
}

function readVersion1(received: Buffer): ProxyHeader {
  const end = received.indexOf('\r\n', 0, 'latin1');
  if (end === -1) return received.length >= LINE_BYTES ? BAD : INCOMPLETE;
  const bytes = end + 2;
  if (bytes > LINE_BYTES) return BAD;
  const text = received.toString('latin1', 0, end);
  // Whatever else stands on such a line is to be passed over.
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/.test(text)) return { kind: 'whole', bytes, address: undefined };
  const address = sourceOf(text);
  return address === undefined ? BAD : { kind: 'whole', bytes, address };
}

/** The client's address on a line, if everything on it is as it must be. */
function sourceOf(text: string): string | undefined {
  const parts = LINE_1.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const { family, source = '', destination = '', from, to } = parts;
  const areAddresses = isAddress(source, Number(family)) && isAddress(destination, Number(family));
  return areAddresses && Number(from) <= 65_535 && Number(to) <= 65_535 ? source : undefined;
}

function isAddress(text: string, family: number): boolean {
  return isIP(text) === family && !text.includes('%');
}

function readVersion2(received: Buffer): ProxyHeader {
  const command = received.readUInt8(12);
  const family = received.readUInt8(13);
  const length = received.readUInt16BE(14);
  if (length > BODY_BYTES) return BAD;
  const bytes = HEAD_BYTES + length;
  if (command === 0x20)
    return received.length < bytes ? INCOMPLETE : { kind: 'whole', bytes, address: undefined };
  if (command !== 0x21) return BAD;
  // Only TCP comes here; a proxy that says otherwise of it speaks of another connection.
  if (family !== 0x11 && family !== 0x21) return BAD;
  if (length < (family === 0x11 ? 12 : 36)) return BAD;
  if (received.length < bytes) return INCOMPLETE;
  const address = family === 0x11 ? address4(received) : address6(received);
  return { kind: 'whole', bytes, address };
}

function address4(received: Buffer): string {
  return [...received.subarray(HEAD_BYTES, HEAD_BYTES + 4)].join('.');
}

function address6(received: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    received.readUInt16BE(HEAD_BYTES + 2 * index).toString(16),
  );
  // An IPv4 address in IPv6 clothes is the IPv4 address, or two rules would be needed for one client.
  const isMapped = groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff';
  if (isMapped) return [...received.subarray(HEAD_BYTES + 12, HEAD_BYTES + 16)].join('.');
  return groups.join(':');
}
