import type { IncomingMessage } from 'node:http';
import { CRM_ACCOUNTS } from './demo-login.ts';

/**
 * The account that a request is for: the first label of the host name. A bare address or `localhost` gets the first
 * account, so that a node can be opened directly.
 *
 * Believes `X-Forwarded-Host` from anyone, as many applications do; a gateway has to drop the client's.
 *
 * @returns `undefined` for a name that is no account.
 */
export function accountOf(request: IncomingMessage): string | undefined {
  const host = (firstOf(request.headers['x-forwarded-host']) ?? request.headers.host ?? '').toLowerCase();
  const name = host.replace(/:\d+$/, '');
  if (/^(?:localhost|[\d.]+|\[[\da-f:.]+\])?$/.test(name)) return CRM_ACCOUNTS[0]?.id;
  const label = name.split('.', 1)[0];
  return CRM_ACCOUNTS.find((account) => account.id === label)?.id;
}

/** The client's address by whichever header claims one, believed from anyone: a bad habit from real life. */
export function believedAddress(request: IncomingMessage): string {
  const { headers, socket } = request;
  return (
    firstOf(headers['x-forwarded-for']) ??
    firstOf(headers['client-ip']) ??
    firstOf(headers['cf-connecting-ip']) ??
    firstOf(headers['x-real-ip']) ??
    socket.remoteAddress ??
    ''
  );
}

function firstOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  const first = text?.split(',', 1)[0]?.trim();
  return first === '' ? undefined : first;
}
