import { BlockList, isIP } from 'node:net';

/** What a policy may write where a network is wanted; shown in error messages. */
export const NETWORK_FORM = 'an address or a CIDR: 10.0.0.0/8, 192.0.2.7, 2001:db8::/32';

/** A set of networks. */
export interface NetworkList {
  /** Whether the address (text form, IPv4-mapped IPv6 taken as IPv4) lies in one of the networks. */
  includes(address: string): boolean;
  readonly size: number;
}

/**
 * Says what is wrong with a network, in words for an operator.
 *
 * @returns a sentence, or `undefined` when {@link networkList} would accept it.
 */
export function networkMistake(text: string): string | undefined {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return `"${address}" is not an IP address`;
  if (rest.length > 0) return 'a network has one "/"';
  if (prefix === undefined) return undefined;
  const longest = family === 4 ? 32 : 128;
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > longest) return `the prefix length is 0 to ${longest}`;
  return undefined;
}

/**
 * Compiles a list of addresses and CIDRs.
 *
 * @param networks entries that {@link networkMistake} accepts.
 */
export function networkList(networks: readonly string[]): NetworkList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return {
    size: networks.length,
    includes: (address) => {
      if (networks.length === 0) return false;
      const plain = plainAddress(address);
      const family = isIP(plain);
      return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4');
    },
  };
}

/** Turns an IPv4-mapped IPv6 address (`::ffff:192.0.2.7`) into its IPv4 form; others stay as they are. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/**
 * The network a client is counted and bound under: /24 for IPv4, /64 for IPv6, because one household or
 * one phone holds a whole such network.
 */
export function clientNetwork(address: string): string {
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) return `${plain.slice(0, plain.lastIndexOf('.'))}.0/24`;
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined
      ? left
      : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
