/** A signed-in session or a key of another account than the one that was asked for. */
export interface ForeignPrincipal {
  readonly kind: 'session' | 'api_key';
  readonly id: string;
  readonly account: string;
}
