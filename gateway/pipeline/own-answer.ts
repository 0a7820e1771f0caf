/** A whole answer made by the gateway itself. */
export interface OwnAnswer {
  readonly status: number;
  /** Flat names and values. */
  readonly headers: string[];
  readonly body: Buffer;
}
