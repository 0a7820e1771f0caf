/**
 * One security event for the audit trail: what happened, to whom, by whom. Facts are plain values; never a secret, and
 * a person's name only where it must be read (administrators). People of the CRM stand as keyed hashes.
 */
export interface AuditEvent {
  /** `area.what`, such as `session.theft` or `key.rotated`. */
  readonly event: string;
  readonly facts?: AuditFacts;
  /** The person of the CRM that it is about. The trail keeps a keyed hash of it only, as the fact `person`. */
  readonly person?: { readonly account: string; readonly subject: string } | undefined;
  /**
   * For what strangers can bring about as often as they like: of the events of one name with the same text here, the
   * first of a minute is written at once, and the others of that minute as one record with their number, `times`.
   */
  readonly repeats?: string;
}

/** What a record says beside its name; what is `undefined` is left out. */
export type AuditFacts = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** Where security events are written down. */
export interface AuditSink {
  /** Writes an event behind what goes on: never blocks, never throws; what is lost shows in a metric. */
  note(event: AuditEvent): void;
  /**
   * Writes an event that must be on record before its operation takes effect.
   *
   * @throws GatewayError `audit_unavailable` when it cannot be written: then nothing is done.
   */
  commit(event: AuditEvent): Promise<void>;
}
