import type { Policy } from '../policy/policy.ts';
import { watchPolicy } from '../policy/watch-policy.ts';
import { watchCertificates } from '../tls/watch-certificates.ts';

/**
 * Watches everything that a reload reads: the policies, and the certificate files that those in force name.
 *
 * @param changed must not throw. @returns a function that stops watching.
 */
export function watchSources(
  policies: string,
  inForce: () => { readonly policy: Policy },
  changed: () => void,
): () => void {
  const stops = [
    watchPolicy(policies, changed),
    watchCertificates(() => inForce().policy.tls.certificates, changed),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
