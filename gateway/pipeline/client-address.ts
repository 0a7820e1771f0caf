import type { NetworkList } from '../core/network.ts';
import { plainAddress } from '../core/network.ts';
import type { RequestHead } from '../proxy/request-head.ts';
import { isIP } from 'node:net';

/**
 * The address that a client is known by: the peer of the connection, unless that is a trusted proxy; then the
 * right-most hop that is not trusted (RFC 7239 section 8.1: everything left of it is the client's own claim).
 * `X-Forwarded-For` is read where both headers came, because that is what proxies write; one that writes `Forwarded`
 * alone must take the other one off.
 */
export function clientAddress(peer: string, head: RequestHead, trusted: NetworkList): string {
  const plain = plainAddress(peer);
  if (trusted.size === 0 || !trusted.includes(plain)) return plain;
  const hops = head.forwardedFor === undefined ? forwardedHops(head.forwarded) : head.forwardedFor.split(',');
  for (const hop of hops.toReversed()) {
    const address = plainAddress(hopAddress(hop));
    // A hop that is no address was not written by a proxy of ours: whoever sent it is the client.
    if (isIP(address) === 0) return plain;
    if (!trusted.includes(address)) return address;
  }
  return plain;
}

/** The `for` values of a `Forwarded` header (RFC 7239 section 4). */
function forwardedHops(forwarded: string | undefined): string[] {
  if (forwarded === undefined) return [];
  return forwarded.split(',').map((element) => {
    const pair = element.split(';').find((part) => part.trim().toLowerCase().startsWith('for='));
    return pair?.trim().slice(4).replaceAll('"', '') ?? '';
  });
}

/** A hop without its port and brackets (RFC 7239 section 6), which some proxies write in both headers. */
function hopAddress(hop: string): string {
  const text = hop.trim();
  const bracket = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1];
  return bracket ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text;
}
