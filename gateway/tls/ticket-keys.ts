import { hkdfSync, randomBytes } from 'node:crypto';

/** Fresh secret for session tickets; worker processes that share a port must share it. */
export function createTicketSecret(): Buffer {
  return randomBytes(48);
}

/**
 * The 48 bytes that `setTicketKeys` takes, apart for each listener: a session that began on the public listener cannot
 * be resumed on one that asks for a client certificate.
 */
export function ticketKeysFor(secret: Buffer, listener: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `zasov tls tickets ${listener}`, 48));
}
