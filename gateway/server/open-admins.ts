import { type KeyObject, X509Certificate } from 'node:crypto';

import { openAdminAuthority } from '../admin/admin-authority.ts';
import { AdminRegister } from '../admin/admin-register.ts';
import type { Administrator } from '../admin/admin.ts';
import { ApprovalDesk } from '../admin/approval-desk.ts';
import { issueClientCertificate } from '../admin/client-certificate.ts';
import { SignedRecords } from '../admin/signed-records.ts';
import type { AuditSink } from '../core/audit-event.ts';
import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { MetricRegistry } from '../observability/metric-registry.ts';
import type { Policy } from '../policy/policy.ts';
import { sealedKeyFiles } from '../store/key-file.ts';
import type { RecordStore } from '../store/record-store.ts';
import { every } from './closers.ts';
import { PolicyGuard } from './policy-guard.ts';
import { announceRestores } from './restore-approval.ts';

/** The two administrators of one process, and what both must agree to. */
export interface Admins {
  readonly list: AdminRegister;
  readonly approvals: ApprovalDesk;
  readonly guard: PolicyGuard;
  /** Follows a policy: its `admins` are a wish, not an order. Never throws. */
  configure(policy: Policy): void;
  /** Calls back when the set that this process holds back was approved. @returns a function that ends it. */
  onPolicyApproved(reload: () => void): () => void;
  /** Issues another certificate for an administrator's key. @throws GatewayError `audit_unavailable`. */
  renew(
    administrator: Administrator,
    publicKey: KeyObject,
  ): Promise<{ certPem: string; authorityPem: string; expiresAtMs: number }>;
  /** How long a proposal may wait, by the policy in force. */
  longestMs(): number;
  now(): number;
  /** What `/readyz` says of it: `true`, or a sentence. It makes no node unfit for traffic. */
  check(): true | string;
  close(): void;
}

/** What the administrators of a process stand on. */
export interface AdminOptions {
  readonly policy: Policy;
  readonly data: string;
  readonly records: RecordStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly audit: AuditSink;
  readonly metrics: GatewayMetrics;
  readonly registry: MetricRegistry;
  readonly logger: Logger;
  /** Enrolled on the very first start where the policy names nobody. */
  readonly firstAdministrators?: readonly Administrator[] | undefined;
}

const TICK_MS = 1000;

/**
 * Opens the list of administrators; on the very first start the two of the policy are enrolled.
 *
 * @throws GatewayError `store_unavailable`, `audit_unavailable`.
 */
export async function openAdmins(options: AdminOptions): Promise<Admins> {
  const { policy, data, clock, audit, metrics, registry, logger } = options;
  const signed = new SignedRecords(options.records, options.keyring, options.data);
  const parts = {
    ...options,
    signed,
    notice: (level: 'info' | 'warn' | 'error', message: string, facts?: Readonly<Record<string, unknown>>) =>
      logger[level](message, facts),
  };
  const list = await AdminRegister.open(parts, policy.admins ?? options.firstAdministrators);
  let longestMs = policy.adminAccess.approvalExpiresMs;
  const approvals = new ApprovalDesk({ ...parts, register: list, longestMs: () => longestMs });
  carryOutReplacements(list, approvals);
  const guard = new PolicyGuard({ ...parts, register: list });
  lowerProtections(guard, approvals);
  announceRestores(approvals, audit);
  await approvals.refresh().catch((error: unknown) => {
    logger.error('the proposals could not be read', { error });
  });
  registry.onCollect(() => {
    metrics.approvalsPending.set(approvals.pending);
    metrics.admins.set(list.administrators.length);
    metrics.policyHeld.set(guard.held === undefined ? 0 : 1);
    metrics.adminsPolicyDiffers.set(list.proposed === undefined ? 0 : 1);
  });
  const stop = every(TICK_MS, () => {
    list.tick();
    // While the store is away every request says so; a line a second would say no more.
    approvals.tick().catch(() => undefined);
  });
  return {
    list,
    approvals,
    guard,
    onPolicyApproved: (reload) => {
      const look = () => {
        const { held } = guard;
        if (held === undefined) return;
        guard.isApproved(held.policy).then(
          (isApproved) => isApproved && reload(),
          () => undefined,
        );
      };
      return every(TICK_MS, look);
    },
    configure: (next) => {
      longestMs = next.adminAccess.approvalExpiresMs;
      const enrolled = list.configure(next.admins).then(() => guard.keepCurrent());
      enrolled.catch((error: unknown) => {
        logger.error('the administrators of the policy could not be enrolled', { error });
      });
    },
    renew: async ({ name, fingerprint }, publicKey) => {
      await audit.commit({ event: 'admin.certificate_issued', facts: { name, key: fingerprint } });
      const authority = await openAdminAuthority(data, sealedKeyFiles(options.keyring), clock.now());
      const certPem = issueClientCertificate(authority, { name, publicKey, nowMs: clock.now() });
      const expiresAtMs = new X509Certificate(certPem).validToDate.getTime();
      return { certPem, authorityPem: authority.certPem, expiresAtMs };
    },
    longestMs: () => longestMs,
    now: () => clock.now(),
    check: () => {
      if (list.fault !== undefined) return `nobody is let in as administrator: ${list.fault}`;
      if (guard.held !== undefined)
        return 'the policies lower a protection and are held; the old ones are in force';
      if (list.proposed === undefined) return true;
      return 'the policy names other administrators than those in force; zasov admins propose replace_administrators';
    },
    close: () => {
      stop();
      approvals.close();
      list.close();
    },
  };
}

/** Replacing an administrator is this house's own critical action: the new list is kept with both signatures. */
function carryOutReplacements(list: AdminRegister, approvals: ApprovalDesk): void {
  const isListInForce = (from: readonly Administrator[]) =>
    from.length === list.administrators.length &&
    from.every((one) =>
      list.administrators.some((each) => each.name === one.name && each.fingerprint === one.fingerprint),
    );
  approvals.onApproved(
    'replace_administrators',
    async ({ parameters }, id) => {
      const { to } = parameters as { to: Administrator[] };
      const proposal = approvals.proposals.find(({ payload }) => payload.id === id);
      if (proposal === undefined) throw new Error('the proposal is gone');
      const { payload, proposed, approved } = proposal;
      await list.replace(payload.list, to, { id, payload, proposed, approved } as unknown as JsonValue);
    },
    ({ parameters }) => {
      const { from, to } = parameters as { from: Administrator[]; to: Administrator[] };
      if (!isListInForce(from)) return 'the list that it starts from is not the one in force';
      if (isListInForce(to)) return 'it changes nothing';
      const [one, other] = to;
      const isDouble = one?.fingerprint === other?.fingerprint || one?.name === other?.name;
      return isDouble ? 'there are exactly two administrators, with a name and a key each' : undefined;
    },
  );
}

/** A set of policies that lowers a protection takes effect on every node that holds it back. */
function lowerProtections(guard: PolicyGuard, approvals: ApprovalDesk): void {
  approvals.onApproved(
    'lower_protection',
    ({ parameters }) => guard.approve(String(parameters['policy'])),
    async ({ parameters }) => {
      const held = await guard.heldAnywhere();
      if (held === undefined) return 'no policies are held';
      // The other one reads the words of the proposal: they must be those of the gateway, not of the proposer.
      const isSame = canonicalJson(parameters as JsonValue) === canonicalJson({ ...held });
      return isSame ? undefined : 'the policies that are held are others, or lower something else';
    },
  );
}
