import { randomUUID } from 'node:crypto';

import type { AuditEvent, AuditFacts, AuditSink } from '../core/audit-event.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { KeyOperations } from './control-keys.ts';
import type { ApiKeys } from './open-keys.ts';

/**
 * The operator's operations on the keys of this process. What is about to be done is on record before it is done, and
 * is not done when it cannot be; what came of it follows under the same `operation`.
 */
export function keyOperations(keys: ApiKeys, audit: AuditSink): KeyOperations {
  const { service } = keys;
  const recorded = async <T>(
    event: string,
    about: { readonly facts?: AuditFacts; readonly person?: AuditEvent['person'] },
    run: () => Promise<T>,
    outcome: (result: T) => AuditFacts,
  ): Promise<T> => {
    const operation = randomUUID();
    const { facts = {}, person } = about;
    await audit.commit({ event, facts: { ...facts, operation }, person });
    try {
      const result = await run();
      audit.note({ event: `${event}.done`, facts: { ...facts, operation, ...outcome(result) }, person });
      return result;
    } catch (error) {
      const code = error instanceof GatewayError ? error.code : 'internal';
      audit.note({ event: `${event}.failed`, facts: { ...facts, operation, code }, person });
      throw error;
    }
  };
  return {
    issueKey: ({ account, subject, ...rest }) =>
      recorded(
        'key.issue',
        { person: { account, subject }, facts: { account, ...scopeFacts(rest.scope) } },
        () => service.issue({ account, subject, ...rest }),
        ({ id, expires_at: expires }) => ({ key: id, expires }),
      ),
    listKeys: (filter) => service.list(filter),
    rotateKey: (id, overlapMs) =>
      recorded(
        'key.rotate',
        { facts: { key: id, overlap_ms: overlapMs } },
        () => service.rotate(id, overlapMs),
        (issued) => ({ successor: issued?.id, known: issued !== undefined }),
      ),
    revokeKey: (id) =>
      recorded(
        'key.revoke',
        { facts: { key: id } },
        () => service.revoke(id),
        (isRevoked) => ({ known: isRevoked }),
      ),
    releaseKey: (id) =>
      recorded(
        'key.release',
        { facts: { key: id } },
        () => service.release(id),
        (isReleased) => ({ known: isReleased }),
      ),
    releaseKeys: (limit) =>
      recorded(
        'key.release',
        { facts: { at_most: limit } },
        () => service.releaseSome(limit),
        ({ released, left }) => ({ keys: released, left }),
      ),
    setUpstreamCredential: (account, subject, text) =>
      recorded(
        'key.upstream_credential',
        { facts: { account }, person: { account, subject } },
        () => service.setUpstreamCredential(account, subject, text),
        (count) => ({ keys: count }),
      ),
    importKey: async ({ account, subject, ...rest }) => {
      if (!keys.policy.settings.acceptsImported)
        throw new GatewayError('route_denied', 'api_keys.imported is refuse');
      return await recorded(
        'key.import',
        { facts: { account }, person: { account, subject } },
        () => service.issue({ account, subject, ...rest }),
        ({ id }) => ({ key: id }),
      );
    },
  };
}

function scopeFacts(scope: Parameters<KeyOperations['issueKey']>[0]['scope']): AuditFacts {
  return {
    routes: scope?.routes,
    methods: scope?.methods,
    networks: scope?.networks,
    read_only: scope?.isReadOnly,
  };
}
