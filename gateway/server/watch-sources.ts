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
  const stops = [watchPolicy(policies, changed), watchCertificates(() => filesOf(inForce().policy), changed)];
  return () => {
    for (const stop of stops) stop();
  };
}

/** Certificate and key files of the listeners, and of connections to nodes. */
function filesOf({ tls, regions }: Policy): string[] {
  const served = tls.certificates.flatMap((each) =>
    each.kind === 'files' ? [each.certFile, each.keyFile] : [],
  );
  const shown = regions.flatMap((each) => [each.tls?.caFile, each.tls?.certFile, each.tls?.keyFile]);
  return [...served, ...shown.filter((file) => file !== undefined)];
}
