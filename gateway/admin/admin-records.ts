import { X509Certificate } from 'node:crypto';

import type { JsonValue } from '../core/canonical-json.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Administrator } from './admin.ts';
import type { Revocation } from './revocations.ts';
import type { SignedRecords } from './signed-records.ts';

/** The record of the list: who, since when, and on whose word. */
export interface ListRecord {
  /** Goes up with every change of the list; signatures name the one that they were made under. */
  readonly number: number;
  /** Names this installation in what is signed; random, the same in every list. */
  readonly gateway: string;
  readonly administrators: readonly Administrator[];
  readonly since_ms: number;
  /** `policy` for the first one; the approved proposal with its signatures for every other. */
  readonly by: JsonValue;
}

/** One consistent view of the records. */
export interface Standing {
  readonly list: ListRecord | undefined;
  readonly authorities: readonly { readonly pem: string; readonly certificate: X509Certificate }[];
  readonly revocations: readonly Revocation[];
  /** Why nobody is let in, though somebody may be enrolled. */
  readonly fault: string | undefined;
}

/** The view while nobody is enrolled. */
export const NOBODY: Standing = { list: undefined, authorities: [], revocations: [], fault: undefined };

const NAMES = ['list', 'authorities', 'revocations'] as const;
type Name = (typeof NAMES)[number];

/** The records of kind `admin`. */
export class AdminRecords {
  readonly #signed: SignedRecords;

  constructor(signed: SignedRecords) {
    this.#signed = signed;
  }

  /**
   * Reads all of them. What is sealed under a former master key is sealed anew.
   *
   * @returns a standing with a `fault` when they do not verify, or are older than what was seen before.
   * @throws GatewayError `store_unavailable`.
   */
  async read(): Promise<Standing> {
    try {
      return await this.#read();
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'admin_untrusted') throw error;
      return { ...NOBODY, fault: error.message };
    }
  }

  async #read(): Promise<Standing> {
    const values: Partial<Record<Name, unknown>> = {};
    for (const name of NAMES) {
      const found = await this.#signed.read<object>('admin', name);
      if (found === undefined) continue;
      values[name] = found.value;
      if (found.isOld) await this.#signed.write('admin', name, found.version + 1, found.value);
    }
    return {
      list: values.list as ListRecord | undefined,
      authorities: ((values.authorities ?? []) as string[]).map((pem) => ({
        pem,
        certificate: new X509Certificate(pem),
      })),
      revocations: (values.revocations ?? []) as Revocation[],
      fault: undefined,
    };
  }

  /**
   * Writes the next list.
   *
   * @returns whether it was written; otherwise the list in the records is not the one before it.
   */
  async writeList(list: ListRecord): Promise<boolean> {
    const found = await this.#signed.read<ListRecord>('admin', 'list');
    if ((found?.value.number ?? 0) !== list.number - 1) return false;
    return this.#signed.write('admin', 'list', (found?.version ?? 0) + 1, list);
  }

  /** Adds an authority, if it is not there already. */
  async addAuthority(pem: string): Promise<void> {
    await this.#append<string>('authorities', pem, (list) => list.includes(pem));
  }

  /** Adds a revocation. */
  async addRevocation(revocation: Revocation): Promise<void> {
    await this.#append<Revocation>('revocations', revocation, () => false);
  }

  async #append<T>(name: Name, item: T, isThere: (list: readonly T[]) => boolean): Promise<void> {
    for (;;) {
      const found = await this.#signed.read<T[]>('admin', name);
      const list = found?.value ?? [];
      if (isThere(list)) return;
      if (await this.#signed.write('admin', name, (found?.version ?? 0) + 1, [...list, item])) return;
    }
  }
}
