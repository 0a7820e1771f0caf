import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';
import type { RedisConnection } from '../store/redis-connection.ts';
import { ticketKey } from '../store/redis-keys.ts';
import { createTicketSecret, TICKET_SECRET_BYTES } from './ticket-keys.ts';

/** Where the nodes of a gateway find the ticket secret of each slot. */
export interface TicketStore {
  /**
   * The secret of a slot, the same for all nodes with this master key; made when there is none yet.
   *
   * @param lifetimeMs how long the store keeps one that is made now.
   * @throws Error when the store does not answer, or holds a value that this node's master key does not open.
   */
  claim(slot: number, lifetimeMs: number): Promise<Buffer>;
}

/**
 * Shares ticket secrets over the session store's connection; `undefined` where this node stands alone. The store sees
 * sealed values only, and no answer is believed that does not open under the slot's own label: neither a copy of the
 * store nor a client library that mixed up two answers gives anybody a key.
 */
export function shareTickets(
  connection: RedisConnection | undefined,
  keyring: Keyring,
): TicketStore | undefined {
  if (connection === undefined) return undefined;
  const { client } = connection;
  const box = createSealedBox(keyring, 'tls-tickets');
  const find = async (slot: number): Promise<Buffer | undefined> => {
    const sealed = await client.getBuffer(ticketKey(slot));
    if (sealed === null) return undefined;
    const secret = box.open(sealed, ticketKey(slot));
    if (secret?.length !== TICKET_SECRET_BYTES)
      throw new Error('the ticket secret in the store is not under this master key');
    return secret;
  };
  return {
    claim: async (slot, lifetimeMs) => {
      const known = await find(slot);
      if (known !== undefined) return known;
      const sealed = box.seal(createTicketSecret(), ticketKey(slot));
      await client.set(ticketKey(slot), sealed, 'PX', lifetimeMs, 'NX');
      // Read again whoever was first: what the store has is what all nodes take.
      const first = await find(slot);
      if (first === undefined) throw new Error('the store did not keep the ticket secret');
      return first;
    },
  };
}
