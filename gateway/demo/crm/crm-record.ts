/** What the CRM keeps; every kind replicates the same way. */
const RECORD_KINDS = ['user', 'lead', 'contact', 'file', 'visit'] as const;

/** A kind of record. */
export type RecordKind = (typeof RECORD_KINDS)[number];

/** A person who may sign in. The id of the record is the login. */
export interface UserRecord {
  readonly login: string;
  readonly name: string;
  readonly isAdmin: boolean;
  /** As written by `password-hash.ts`. */
  readonly passwordHash: string;
  /** The permanent key of the CRM's own API: it never expires, one of the habits that the gateway mends. */
  readonly apiKey: string;
}

/** A lead or a contact: its fields by name, and who changed it when. */
export interface BookRecord {
  readonly fields: Readonly<Record<string, string | number>>;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Login of the last writer. */
  readonly updatedBy: string;
}

/** A file on the card of a lead or contact; its bytes are on disk under the record's id. */
export interface FileRecord {
  /** `lead/ID` or `contact/ID`. */
  readonly owner: string;
  readonly name: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly uploadedBy: string;
  readonly createdAtMs: number;
}

/** The CRM's own session. The id of the record is the cookie's value; it lives from before login to after logout. */
export interface VisitRecord {
  /** Login, or an empty string before sign-in and after sign-out. */
  readonly login: string;
  readonly csrf: string;
  readonly createdAtMs: number;
  /** When the person signed in; 0 before. */
  readonly signedInAtMs: number;
}

/** The value of each kind of record. */
export interface RecordValues {
  user: UserRecord;
  lead: BookRecord;
  contact: BookRecord;
  file: FileRecord;
  visit: VisitRecord;
}

/**
 * One write, as it travels between nodes. The operation with the greatest `lamport` wins, then the greatest `node`;
 * `value: null` is a deletion. Applying one twice, or two in any order, ends in the same state.
 */
export interface Operation {
  readonly lamport: number;
  readonly node: string;
  readonly account: string;
  readonly kind: RecordKind;
  readonly id: string;
  readonly value: RecordValues[RecordKind] | null;
}

/** Checks the shape of an operation that a peer sent. The value itself is trusted: peers share a secret. */
export function isOperation(candidate: unknown): candidate is Operation {
  if (typeof candidate !== 'object' || candidate === null) return false;
  const { lamport, node, account, kind, id, value } = candidate as Record<string, unknown>;
  return (
    Number.isSafeInteger(lamport) &&
    typeof node === 'string' &&
    typeof account === 'string' &&
    RECORD_KINDS.some((known) => known === kind) &&
    typeof id === 'string' &&
    /^[\w.@-]{1,64}$/.test(id) &&
    typeof value === 'object'
  );
}
