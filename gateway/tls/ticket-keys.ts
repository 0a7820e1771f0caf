import { hkdfSync, randomBytes } from 'node:crypto';

/** Length of the secret behind session tickets, in bytes. */
export const TICKET_SECRET_BYTES = 48;

/** Fresh secret for session tickets; worker processes that share a port must share it. */
export function createTicketSecret(): Buffer {
  return randomBytes(TICKET_SECRET_BYTES);
}

/**
 * The 48 bytes that `setTicketKeys` takes, apart for each listener: a session that began on the public listener cannot
 * be resumed on one that asks for a client certificate.
 */
export function ticketKeysFor(secret: Buffer, listener: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `zasov tls tickets ${listener}`, 48));
}
