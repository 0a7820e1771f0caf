import { remember } from '../core/remember.ts';
import { GatewayError } from '../core/gateway-error.ts';

const AUTHORITY = /^([a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/;

const known = new Map<string, string>();
const KNOWN_LIMIT = 4096;
/** The one that came last: to compare two texts costs less than to look one up that is new in memory. */
let lastAuthority: string | undefined;
let lastHost = '';

/**
 * Compiles the names of certificates (RFC 6125 section 6.4.3: `*.` stands for one label) into a question: the CRM
 * builds links out of the host, such as those of its password mails, so a stranger must not choose it.
 *
 * @param names lower case; addresses without brackets.
 */
export function hostMatcher(names: readonly string[]): (host: string) => boolean {
  const served = new Set(names);
  return (host) => {
    if (served.has(host) || served.has(host.replaceAll(/[[\]]/g, ''))) return true;
    const dot = host.indexOf('.');
    return dot > 0 && served.has(`*${host.slice(dot)}`);
  };
}

/**
 * Takes the host name out of an authority: lower case, no port (RFC 9110 section 4.2.3). Remembers its answers,
 * bounded, because the same few hosts come with every request.
 *
 * @throws GatewayError `bad_host`.
 */
export function hostName(authority: string): string {
  if (authority === lastAuthority) return lastHost;
  const host = known.get(authority) ?? readAuthority(authority);
  lastAuthority = authority;
  lastHost = host;
  return host;
}

function readAuthority(authority: string): string {
  const match = AUTHORITY.exec(authority.toLowerCase());
  const host = match?.[1];
  if (host === undefined || host.includes('..') || Number(match?.[2] ?? 0) > 65_535) {
    throw new GatewayError('bad_host', 'the host is missing or not a host name');
  }
  return remember(known, KNOWN_LIMIT, authority, host);
}
