import type { MetricRegistry } from './metric-registry.ts';

/** Declares the metrics of the two administrators and of what both must agree to. */
export function administrationMetrics(registry: MetricRegistry) {
  return {
    adminsDenied: registry.counter({
      name: 'zasov_admin_denied_total',
      help: 'Attempts on administrators’ routes that were refused, by reason.',
      labels: ['reason'],
    }),
    admins: registry
      .gauge({ name: 'zasov_admins', help: 'Administrators who are enrolled: two, or none.' })
      .child({}),
    adminsPolicyDiffers: registry
      .gauge({
        name: 'zasov_admins_policy_differs',
        help: 'Whether the policy names other administrators than those in force (1).',
      })
      .child({}),
    approvalsPending: registry
      .gauge({ name: 'zasov_approvals_pending', help: 'Proposals that wait for the other administrator.' })
      .child({}),
    policyHeld: registry
      .gauge({
        name: 'zasov_policy_held',
        help: 'Whether policies that lower a protection wait for both administrators (1).',
      })
      .child({}),
  };
}
