import { type ChildProcess, fork } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import type { Environment } from './config/environment.ts';
import { drawConsole } from './console/draw-console.ts';
import { createAccountPage } from './console/account-page.ts';
import { GatewayError } from './core/gateway-error.ts';
import { createAssertionKey } from './crypto/assertion-key.ts';
import { OwnWrites } from './pipeline/own-writes.ts';
import { leaveNodes } from './pipeline/leave-nodes.ts';
import { Pipeline } from './pipeline/pipeline.ts';
import { startEvent } from './pipeline/audit-report.ts';
import { createRequestReport } from './pipeline/request-report.ts';
import type { Policy } from './policy/policy.ts';
import { launchBackupWorker } from './server/backup-child.ts';
import { closeAll, type Closers, every } from './server/closers.ts';
import { startControlServer } from './server/control-server.ts';
import {
  collectPrincipals,
  collectTraffic,
  type Foundation,
  principalOperations,
  reportFailure,
  trustOf,
} from './server/foundation.ts';
import { openFoundation } from './server/open-foundation.ts';
import { openLoad } from './server/open-load.ts';
import { openListeners } from './server/open-listeners.ts';
import { Backups } from './server/open-backup.ts';
import { openAdministration } from './server/open-administration.ts';
import { openTraffic } from './server/open-traffic.ts';
import { PolicyInForce, type PolicyReading } from './server/policy-in-force.ts';
import { openLimits } from './server/open-limits.ts';
import { refuseUnfinished, watchEpoch } from './server/restore-epoch.ts';
import { isKeyWithData } from './server/read-keyring.ts';
import {
  chooseFirstPolicy,
  type FirstPolicy,
  readFirstPolicy,
  readPolicies,
} from './server/read-policies.ts';
import type { Gateway, GatewayOptions } from './server/running-gateway.ts';
import { serveNode } from './server/serve-node.ts';
import type { Supervisor } from './server/supervisor.ts';
import { watchSources } from './server/watch-sources.ts';
import type { WorkerStart } from './server/worker-calls.ts';
import { RelayHub } from './server/worker-relay.ts';
import type { WorkerLink, WorkerParts } from './server/worker-service.ts';
import { describeMistakes } from './tls/certificate-store.ts';
import { TlsEndpoint } from './tls/tls-endpoint.ts';

const TICK_MS = 1000;
const KEY_WITH_DATA =
  'the master key lies in the data directory: who takes the disk has both; see secrets.master_key';
const CERTIFICATES_MS = 12 * 3_600_000;

/**
 * Builds everything once and starts it: the only place that constructs services. With one worker all of it is in
 * this process; with several this process supervises them.
 *
 * @throws GatewayError `internal` with a message for the operator: mistakes in the policies, a port that is taken, a
 *   store or key that cannot be used. Nothing is left running then.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const closers: Closers = [];
  try {
    refuseUnfinished(options.data);
    const first = await chooseFirstPolicy(options);
    await mkdir(options.data, { recursive: true, mode: 0o700 });
    const { policy, notices } = first;
    const count = policy.workers === 'auto' ? availableParallelism() : policy.workers;
    if (count > 1) return await supervise(options, first, count, closers);
    const foundation = await openFoundation(options, policy, closers);
    if (isKeyWithData(policy, options.data)) foundation.logger.warn(KEY_WITH_DATA);
    for (const setting of notices)
      foundation.logger.warn('a setting is not in force in this version', { setting });
    return await serveAlone(options, foundation, first, closers);
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

/** Builds and opens what one worker process serves with. @throws as {@link startGateway}. */
export async function composeWorker(
  start: WorkerStart,
  link: WorkerLink,
  environment: Environment,
): Promise<WorkerParts> {
  const closers: Closers = [];
  const options = { ...start, environment, logFile: start.logFile ?? undefined };
  try {
    const { policy } = readFirstPolicy(options);
    const foundation = await openFoundation(options, policy, closers, link.relay);
    const source = { path: start.policies };
    const parts = await prepareTraffic(foundation, policy, closers, {
      ticketSecret: Buffer.from(start.tickets, 'base64'),
      read: () => ({ ...readPolicies(source.path, environment), notices: [] }),
      // Counted for the whole node; a supervisor that says nothing leaves this worker to its own count.
      takeAnonymous: (network, countHere) => link.takeAnonymous(network).catch(() => countHere(network)),
    });
    const traffic = await openTraffic({ ...parts, policy, metrics: foundation.metrics, shared: start });
    closers.push(() => traffic.close());
    const { registry, sessions, apiKeys } = foundation;
    return {
      registry,
      sessions,
      apiKeys,
      ...parts,
      traffic,
      crowdedFrom: Math.ceil(policy.protection.connectionsPerClient / (2 * start.share)),
      source,
      close: () => closeAll(closers),
    };
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

/** What serves requests, alone or in a worker; the listeners are opened on it. */
async function prepareTraffic(
  foundation: Foundation,
  policy: Policy,
  closers: Closers,
  own: {
    readonly ticketSecret: Buffer;
    read(): PolicyReading;
    takeAnonymous(network: string, countHere: (network: string) => Promise<boolean>): Promise<boolean>;
  },
) {
  const { clock, logger, metrics, keyring, sessions, apiKeys } = foundation;
  const certificates = await foundation.loadCertificates(policy);
  if (!certificates.ok) throw new GatewayError('internal', describeMistakes(certificates.mistakes));
  const { snapshot, authority } = certificates;
  const endpoint = new TlsEndpoint({ listener: 'public', snapshot, ticketSecret: own.ticketSecret });
  const inForce = new PolicyInForce(policy, { ...foundation, read: () => own.read() });
  closers.push(() => inForce.close());
  const limits = openLimits(foundation);
  closers.push(() => limits.close());
  const administration = openAdministration(foundation, inForce, drawConsole);
  const pipeline = new Pipeline(inForce.snapshot, {
    clock,
    sessions,
    keys: apiKeys.service,
    credentials: apiKeys.credentials,
    accountPage: createAccountPage({ ...foundation, keys: apiKeys.service }),
    signer: createAssertionKey(keyring),
    publicKeys: keyring.kids.map((kid) => createAssertionKey(keyring, kid).publicJwk),
    audit: foundation.audit,
    report: createRequestReport(metrics, logger, foundation.audit),
    administration: administration.services,
    ownWrites: new OwnWrites(policy.workers === 1 && policy.store.kind === 'embedded'),
    load: openLoad(foundation, closers),
    ...limits.services,
    takeAnonymous: (network) => own.takeAnonymous(network, (counted) => inForce.takeAnonymous(counted)),
  });
  closers.push(
    leaveNodes(
      inForce,
      foundation.regions.conditions,
      pipeline.streams,
      ({ region, origin }, ending, streams) =>
        logger.warn('streams left a node', { region, node: origin, ending, streams }),
    ),
  );
  collectTraffic(foundation, inForce, endpoint);
  const failed = reportFailure(foundation, 'a session tick failed');
  closers.push(
    every(TICK_MS, () => sessions.tick().catch(failed)),
    every(TICK_MS, () => apiKeys.tick()),
  );
  return { inForce, pipeline, endpoint, authority, administration };
}

/** Starts the program that runs now once more, with a channel. */
function launchProgram(command: string): ChildProcess {
  return fork(process.argv[1] ?? '', [command], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

const launchBackup = () => launchBackupWorker(process.argv[1] ?? '');

/** Serves in this process. */
async function serveAlone(
  options: GatewayOptions,
  foundation: Foundation,
  first: FirstPolicy,
  closers: Closers,
): Promise<Gateway> {
  const { policies, data, environment, version } = options;
  const { logger, sessions, apiKeys } = foundation;
  const { policy } = first;
  const { superseded } = await watchEpoch(foundation, closers);
  await foundation.admins.guard.start(first.candidate, options.startsAsWritten);
  const traffic = await prepareTraffic(foundation, policy, closers, {
    ticketSecret: await foundation.tickets.refresh(),
    read: () => readPolicies(policies, environment),
    takeAnonymous: (network, countHere) => countHere(network),
  });
  const { inForce, pipeline, endpoint, authority } = traffic;
  const backups = new Backups({ foundation, policy, policies: () => policies, launch: launchBackup });
  const reload = async () => {
    const result = await inForce.reload({ pipeline, sessions, apiKeys, endpoint });
    backups.configure(inForce.policy);
    return result;
  };
  collectPrincipals(foundation);
  const open = await openListeners({ ...foundation, ...traffic });
  closers.push(() => open.close());
  const control = await startControlServer(join(data, 'control.sock'), {
    status: () => open.status(policies),
    reload,
    ...principalOperations(foundation),
    ...backups.operations,
  });
  backups.start();
  const failure = (message: string) => reportFailure(foundation, message);
  const changed = () => void reload().catch(failure('a reload failed'));
  closers.push(
    () => control.close(),
    () => backups.stop(),
    foundation.tickets.follow((secret) => endpoint.rotateTickets(secret), failure('new ticket keys failed')),
    every(CERTIFICATES_MS, () => reload().catch(failure('renewing certificates failed'))),
    watchSources(policies, () => inForce, changed),
    foundation.admins.onPolicyApproved(() => void reload().catch(failure('a reload failed'))),
  );
  if (first.isKept) await reload();
  open.setReady(true);
  logger.info('serving', { version, ...open.listeners });
  foundation.audit.note(startEvent(version, policy));
  return {
    listeners: open.listeners,
    trust: trustOf(authority),
    reload,
    superseded,
    stop: async (drainMs = inForce.policy.protection.drainMs) => {
      open.setReady(false);
      logger.info('draining', { open: pipeline.open });
      foundation.audit.note({ event: 'gateway.stopping' });
      open.stopAccepting();
      await pipeline.drain(drainMs);
      await closeAll(closers);
      logger.info('stopped');
    },
  };
}

/** Has worker processes serve and looks after them. */
async function supervise(
  options: GatewayOptions,
  first: FirstPolicy,
  count: number,
  closers: Closers,
): Promise<Gateway> {
  let supervisor: Supervisor | undefined;
  const hub = new RelayHub(() => supervisor?.workers ?? []);
  const foundation = await openFoundation(options, first.policy, closers, hub);
  if (isKeyWithData(first.policy, options.data)) foundation.logger.warn(KEY_WITH_DATA);
  const { logger } = foundation;
  const { superseded } = await watchEpoch(foundation, closers);
  await foundation.admins.guard.start(first.candidate, options.startsAsWritten);
  const node = await serveNode(
    foundation,
    {
      policies: options.policies,
      firstPolicies: first.path,
      logFile: options.logFile,
      count,
      hub,
      launch: () => launchProgram('worker'),
      launchBackup,
      supervised: (made) => (supervisor = made),
    },
    closers,
  );
  if (first.isKept) await node.reload();
  logger.info('serving', { version: options.version, workers: count, ...node.listeners });
  foundation.audit.note(startEvent(options.version, first.policy, count));
  return {
    listeners: node.listeners,
    trust: trustOf(node.authority),
    reload: () => node.reload(),
    superseded,
    stop: async (drainMs) => {
      logger.info('draining', { workers: count });
      foundation.audit.note({ event: 'gateway.stopping' });
      await node.drain(drainMs);
      await closeAll(closers);
      logger.info('stopped');
    },
  };
}
