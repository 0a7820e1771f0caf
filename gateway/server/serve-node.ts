import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';

import { createAnonymousLimit } from '../rate-limit/anonymous-limit.ts';
import { type Closers, every } from './closers.ts';
import type { GatewayStatus } from './control-api.ts';
import { startControlServer } from './control-server.ts';
import { collectPrincipals, type Foundation, principalOperations, reportFailure } from './foundation.ts';
import { Backups } from './open-backup.ts';
import { NodePolicies } from './node-policies.ts';
import type { ListenerOrigins } from './open-listeners.ts';
import { startOpsServer } from './ops-server.ts';
import type { ReloadResult } from './policy-in-force.ts';
import { readPolicies } from './read-policies.ts';
import { startRedirectServer } from './redirect-server.ts';
import { type SharedPort, takeSharedPort } from './shared-port.ts';
import { Supervisor } from './supervisor.ts';
import { originOf } from './tls-listener.ts';
import { watchSources } from './watch-sources.ts';
import type { RelayHub } from './worker-relay.ts';

/** What a node with several workers is started with, beside its foundation. */
export interface NodeSettings {
  readonly policies: string;
  /** What the first set is read from: the same, or a kept one. */
  readonly firstPolicies: string;
  readonly logFile: string | undefined;
  readonly count: number;
  readonly hub: RelayHub;
  /** Starts the process of a worker, with a channel. */
  launch(): ChildProcess;
  /** The same for a process that makes an archive. */
  launchBackup(): ChildProcess;
  /** Told once the workers can be: the hub reaches them through it. */
  supervised(supervisor: Supervisor): void;
}

/** A node that serves; see `Gateway`, which has the same members. */
export interface ServingNode {
  readonly listeners: ListenerOrigins;
  readonly authority: NodePolicies['inForce']['authority'];
  reload(): Promise<ReloadResult>;
  /** Lets all workers finish, as long as the policy says or it is told; what was opened here is the caller's to close. */
  drain(drainMs?: number): Promise<void>;
}

const TICK_MS = 1000;
const CERTIFICATES_MS = 12 * 3_600_000;

/**
 * Starts the workers of a node and everything that is the node's and not a worker's: ports, ops listener, control
 * socket, redirect, policies and certificates, keys of session tickets.
 *
 * @param closers takes what has to be closed.
 * @throws as `startGateway`.
 */
export async function serveNode(
  foundation: Foundation,
  settings: NodeSettings,
  closers: Closers,
): Promise<ServingNode> {
  const { data, environment, clock, logger, metrics, registry, sessions, tickets, version } = foundation;
  const policies = await NodePolicies.open({
    clock,
    logger,
    metrics,
    audit: foundation.audit,
    path: settings.policies,
    firstPath: settings.firstPolicies,
    guard: foundation.admins.guard,
    directory: join(data, 'policies-in-force'),
    read: (path, original) => readPolicies(path, environment, original),
    loadCertificates: (policy) => foundation.loadCertificates(policy),
  });
  const { listen } = policies.inForce.policy;
  let takeAnonymous = createAnonymousLimit(
    policies.inForce.policy.sessions.anonymous.perClient,
    foundation.limits,
  );
  const ports = await takePorts(listen, closers);
  const supervisor = new Supervisor(
    {
      ...settings,
      logger,
      registry,
      start: { data, version, logFile: settings.logFile ?? null, ...ports },
      takeAnonymous: (network) => takeAnonymous(network),
    },
    policies.inForce.copy.path,
    await tickets.refresh(),
  );
  settings.supervised(supervisor);
  const reload = async () => {
    const result = await policies.reload((path) => supervisor.reload(path));
    if (!result.ok) return result;
    const { policy } = policies.inForce;
    takeAnonymous = createAnonymousLimit(policy.sessions.anonymous.perClient, foundation.limits);
    sessions.configure(policy.sessions);
    foundation.apiKeys.configure(policy);
    foundation.regions.configure(policy);
    foundation.admins.configure(policy);
    backups.configure(policy);
    logger.setLevel(policy.logLevel);
    return result;
  };
  const backups = new Backups({
    foundation,
    policy: policies.inForce.policy,
    policies: () => policies.inForce.copy.path,
    launch: () => settings.launchBackup(),
  });
  collectPrincipals(foundation);

  const ops = await startOpsServer({
    endpoint: listen.ops,
    registry: { render: () => supervisor.metrics.render() },
    facility: foundation.regions.door,
    readiness: () => {
      const { ready, checks } = supervisor.readiness();
      return { ready, checks: { ...checks, administrators: foundation.admins.check() } };
    },
  });
  closers.push(() => ops.close());
  const redirect = listen.redirect && (await startRedirectServer(listen.redirect, ports.public.port));
  closers.push(() => redirect?.close());
  closers.push(() => supervisor.stop(0));
  await supervisor.open();
  const listeners = {
    public: originOf('https', ports.public),
    admin: originOf('https', ports.admin),
    ops: originOf('http', ops.address),
    ...(redirect === undefined ? {} : { redirect: originOf('http', redirect.address) }),
  };
  const startedAt = new Date(clock.now()).toISOString();
  const status = async (): Promise<GatewayStatus> => ({
    version,
    pid: process.pid,
    started_at: startedAt,
    policies: {
      path: settings.policies,
      loaded_at: policies.loadedAt,
      last_reload: policies.lastReload,
      held: foundation.admins.guard.held ?? null,
    },
    listeners,
    sessions: await sessions.count(),
    certificates: policies.inForce.certificates.expiries.map(({ host, expiresAtMs }) => ({
      host,
      expires_at: new Date(expiresAtMs).toISOString(),
    })),
    ...(await supervisor.status()),
  });
  const control = await startControlServer(join(data, 'control.sock'), {
    status,
    reload,
    ...principalOperations(foundation),
    ...backups.operations,
  });
  backups.start();
  closers.push(
    () => control.close(),
    () => backups.stop(),
    every(TICK_MS, () => sessions.tick().catch(reportFailure(foundation, 'a session tick failed'))),
    every(TICK_MS, () => foundation.apiKeys.tick()),
    tickets.follow(
      (secret) => supervisor.rotateTickets(secret),
      reportFailure(foundation, 'new ticket keys failed'),
    ),
    every(CERTIFICATES_MS, reload),
    watchSources(
      settings.policies,
      () => policies.inForce,
      () => void reload(),
    ),
    foundation.admins.onPolicyApproved(() => void reload()),
  );
  return {
    listeners,
    authority: policies.inForce.authority,
    reload,
    drain: (drainMs = policies.inForce.policy.protection.drainMs) => supervisor.stop(drainMs),
  };
}

async function takePorts(
  listen: { public: { address: string; port: number }; admin: { address: string; port: number } },
  closers: Closers,
): Promise<{ public: SharedPort; admin: SharedPort }> {
  const take = async (endpoint: { address: string; port: number }) => {
    const port = await takeSharedPort(endpoint);
    closers.push(() => port.release());
    return port;
  };
  return { public: await take(listen.public), admin: await take(listen.admin) };
}
