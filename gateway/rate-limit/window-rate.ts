/** So much in a window: requests, bytes or failures; the policy's `requests: 7/1s` fits. */
export interface WindowRate {
  /** Names the limit in headers and the store. */
  readonly name: string;
  readonly count: number;
  readonly windowMs: number;
}
