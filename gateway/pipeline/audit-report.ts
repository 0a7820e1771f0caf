import type { KeyObserver } from '../api-key/api-key.ts';
import type { AuditEvent, AuditSink } from '../core/audit-event.ts';
import { clientNetwork } from '../core/network.ts';
import type { Policy, Route } from '../policy/policy.ts';
import { changedParts } from '../policy/policy-outline.ts';
import type { SessionObserver } from '../session/session.ts';
import type { RequestContext } from './request-context.ts';

type Notes = Pick<AuditSink, 'note'>;

/** Ends that have a record of their own: a sign-in, a change of credentials, a verdict on a thief. */
const TOLD_OTHERWISE: ReadonlySet<string> = new Set([
  'login',
  'credentials',
  'reuse',
  'fork',
  'stubborn',
  'context',
]);
/** Ends by a limit. Of a session that nobody here knows they say nothing: it may never have been signed in. */
const LIMITS: ReadonlySet<string> = new Set(['idle', 'lifetime']);

/** Puts what happens to sessions on record, each event by the one process that brought it about. */
export function auditSessions(audit: Notes): Required<Pick<SessionObserver, 'began' | 'theft' | 'ended'>> {
  return {
    began: ({ id, account, subject }, from) => {
      if (subject === undefined) return;
      audit.note({
        event: 'session.signed_in',
        facts: { session: id, account, from },
        person: { account, subject },
      });
    },
    theft: (kind, { id, account, subject }) => {
      const event = kind === 'crash_regress' ? 'session.set_back' : 'session.theft';
      audit.note({ event, facts: { session: id, account, kind }, person: personOf(account, subject) });
    },
    ended: (reason, id, by) => {
      if (by === undefined || TOLD_OTHERWISE.has(reason)) return;
      const { session } = by;
      const isStranger = session === undefined ? LIMITS.has(reason) : session.subject === undefined;
      if (isStranger) return;
      audit.note({
        event: reason === 'logout' ? 'session.signed_out' : 'session.ended',
        facts: { session: id, account: session?.account, reason: reason === 'logout' ? undefined : reason },
        person: session && personOf(session.account, session.subject),
      });
    },
  };
}

/** Puts on record what API keys go through by themselves and by whoever holds them. */
export function auditKeys(audit: Notes): Pick<KeyObserver, 'replayed' | 'rotated' | 'warned'> {
  return {
    replayed: ({ id, account, subject, code }) => {
      const facts = { key: id, account, code };
      audit.note({ event: 'key.replayed', facts, person: { account, subject }, repeats: id });
    },
    rotated: (reason, { id, account, subject }) => {
      // The change of credentials is one record for all of it.
      if (reason === 'credential_change') return;
      audit.note({ event: 'key.rotated', facts: { key: id, account, reason }, person: { account, subject } });
    },
    warned: ({ id, account, subject, daysLeft }) => {
      const facts = { key: id, account, days_left: daysLeft };
      audit.note({ event: 'key.warned', facts, person: { account, subject } });
    },
  };
}

/** Somebody tried an administrators' route where it does not exist. Anybody can, as often as they like. */
export function auditAdminRefusal(audit: Notes, { name }: Route, context: RequestContext): void {
  const { account, clientAddress, method } = context;
  const facts = { reason: 'public_listener', route: name, account, client: clientAddress, method };
  audit.note({ event: 'admin.refused', facts, repeats: `${clientNetwork(clientAddress)} ${name}` });
}

/** The gateway serves. @param workers how many processes serve, where it is not one. */
export function startEvent(version: string, { outline }: Policy, workers?: number): AuditEvent {
  return { event: 'gateway.started', facts: { version, policy: outline.hash, workers } };
}

/** What a reload changed: names of settings and routes, never what they say. */
export function reloadEvent(before: Policy, after: Policy): AuditEvent {
  const changed = changedParts(before.outline, after.outline);
  const facts = { policy: after.outline.hash, before: before.outline.hash, changed };
  return { event: 'policy.reloaded', facts };
}

function personOf(account: string, subject: string | undefined): AuditEvent['person'] {
  return subject === undefined ? undefined : { account, subject };
}
