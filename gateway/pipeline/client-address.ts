import type { NetworkList } from '../core/network.ts';
import { plainAddress } from '../core/network.ts';
import type { RequestHead } from '../proxy/request-head.ts';
import { isIP } from 'node:net';

/**
 * The address that a client is known by: the peer of the connection, unless that is a trusted proxy; then the
 * right-most hop that is not trusted (RFC 7239 section 8.1: everything left of it is the client's own claim).
 */
export function clientAddress(peer: string, head: RequestHead, trusted: NetworkList): string {
  const plain = plainAddress(peer);
  if (trusted.size === 0 || !trusted.includes(plain)) return plain;
  const hops = head.forwardedFor === undefined ? forwardedHops(head.forwarded) : head.forwardedFor.split(',');
  for (const hop of hops.toReversed()) {
    const address = plainAddress(hop.trim());
    // A hop that is no address was not written by a proxy of ours: whoever sent it is the client.
    if (isIP(address) === 0) return plain;
    if (!trusted.includes(address)) return address;
  }
  return plain;
}

/** The `for` values of a `Forwarded` header (RFC 7239 section 4), ports and brackets taken off. */
function forwardedHops(forwarded: string | undefined): string[] {
  if (forwarded === undefined) return [];
  return forwarded.split(',').map((element) => {
    const pair = element.split(';').find((part) => part.trim().toLowerCase().startsWith('for='));
    const value = pair?.trim().slice(4).replaceAll('"', '') ?? '';
    const bracket = /^\[(.+)\](?::\d+)?$/.exec(value);
    if (bracket?.[1] !== undefined) return bracket[1];
    return value.split(':').length === 2 ? (value.split(':')[0] ?? '') : value;
  });
}
