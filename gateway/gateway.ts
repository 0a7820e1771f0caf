import { fork } from 'node:child_process';
import { openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import type { Environment } from './config/environment.ts';
import { systemClock } from './core/clock.ts';
import { GatewayError } from './core/gateway-error.ts';
import { createAssertionKey } from './crypto/assertion-key.ts';
import { createGatewayMetrics } from './observability/gateway-metrics.ts';
import { bufferedDestination } from './observability/log-destination.ts';
import { createLogger } from './observability/logger.ts';
import { MetricRegistry } from './observability/metric-registry.ts';
import { collectProcessMetrics } from './observability/process-metrics.ts';
import { Pipeline } from './pipeline/pipeline.ts';
import { createRequestReport } from './pipeline/request-report.ts';
import { observeSessions, reportUnreplicated } from './pipeline/session-report.ts';
import type { Policy } from './policy/policy.ts';
import { watchPolicy } from './policy/watch-policy.ts';
import { closeAll, type Closers, every } from './server/closers.ts';
import { startControlServer } from './server/control-server.ts';
import type { EndRelay } from './server/end-relay.ts';
import {
  collectPrincipals,
  type Foundation,
  principalOperations,
  reportFailure,
  trustOf,
} from './server/foundation.ts';
import { openListeners } from './server/open-listeners.ts';
import { openAudit } from './server/open-audit.ts';
import { openKeys } from './server/open-keys.ts';
import { openTraffic } from './server/open-traffic.ts';
import { PolicyInForce, type PolicyReading } from './server/policy-in-force.ts';
import { openLimits, shareCounting } from './server/open-limits.ts';
import { readKeyring } from './server/read-keyring.ts';
import { readFirstPolicy, readPolicies } from './server/read-policies.ts';
import { RelayedStore } from './server/relayed-store.ts';
import type { Gateway, GatewayOptions } from './server/running-gateway.ts';
import { serveNode } from './server/serve-node.ts';
import type { Supervisor } from './server/supervisor.ts';
import type { WorkerStart } from './server/worker-calls.ts';
import { RelayHub } from './server/worker-relay.ts';
import type { WorkerLink, WorkerParts } from './server/worker-service.ts';
import { familyTransitions } from './session/rotate.ts';
import { createSessionService } from './session/session-service.ts';
import { openStore } from './store/open-store.ts';
import { describeMistakes, loadCertificates } from './tls/certificate-store.ts';
import { TicketSecrets } from './tls/ticket-secrets.ts';
import { shareTickets } from './tls/ticket-store.ts';
import { TlsEndpoint } from './tls/tls-endpoint.ts';

const TICK_MS = 1000;
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
    const { policy, notices } = readFirstPolicy(options);
    await mkdir(options.data, { recursive: true, mode: 0o700 });
    const count = policy.workers === 'auto' ? availableParallelism() : policy.workers;
    if (count > 1) return await supervise(options, policy, count, closers);
    const foundation = await lay(options, policy, closers);
    for (const setting of notices)
      foundation.logger.warn('a setting is not in force in this version', { setting });
    return await serveAlone(options, foundation, policy, closers);
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
    const foundation = await lay(options, policy, closers, link.relay);
    const source = { path: start.policies };
    const parts = await prepareTraffic(foundation, policy, closers, {
      ticketSecret: Buffer.from(start.tickets, 'base64'),
      read: () => ({ ...readPolicies(source.path, environment), notices: [] }),
      // Counted for the whole node; a supervisor that says nothing leaves this worker to its own count.
      takeAnonymous: (network, countHere) => link.takeAnonymous(network).catch(() => countHere(network)),
    });
    const traffic = await openTraffic({ ...parts, policy, shared: start });
    closers.push(() => traffic.close());
    const { registry, sessions, apiKeys } = foundation;
    return { registry, sessions, apiKeys, ...parts, traffic, source, close: () => closeAll(closers) };
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

/** What every process of the gateway stands on. @param relay set where several processes share the store. */
async function lay(
  options: GatewayOptions,
  policy: Policy,
  closers: Closers,
  relay?: EndRelay,
): Promise<Foundation> {
  const { data, environment, clock = systemClock, version } = options;
  const logTo = options.logFile === undefined ? undefined : openSync(join(data, options.logFile), 'a', 0o600);
  const destination = bufferedDestination(logTo, relay !== undefined);
  const logger = createLogger({ level: policy.logLevel, clock, destination });
  const registry = new MetricRegistry();
  const metrics = createGatewayMetrics(registry);
  closers.push(collectProcessMetrics(registry));
  const keyring = await readKeyring(policy, data, environment);
  const audit = openAudit({ policy, data, clock, metrics, logger });
  closers.push(() => audit.close());
  const opened = await openStore({
    choice: policy.store,
    data,
    environment,
    transitions: familyTransitions,
    clock,
    onUnreplicated: reportUnreplicated(metrics, clock, (level, message, facts) =>
      logger[level](message, facts),
    ),
  });
  const { store, keys: keyStore, records, connection } = opened;
  closers.push(() => opened.close());
  const relayed = relay === undefined ? undefined : new RelayedStore(store, relay);
  const sessions = createSessionService({
    store: relayed ?? store,
    keyring,
    clock,
    settings: policy.sessions,
    observer: observeSessions(metrics, (level, message, facts) => {
      if (relayed?.isTelling !== true) logger[level](message, facts);
    }),
  });
  closers.push(() => sessions.close());
  const tickets = new TicketSecrets({ clock, logger, store: shareTickets(connection, keyring) });
  const facts = { data, environment, version, clock, logger, registry, metrics, tickets, records };
  const apiKeys = await openKeys({ ...facts, policy, keyStore, keyring, sessions });
  closers.push(() => apiKeys.close());
  const load = (wanted: Policy) =>
    loadCertificates({
      origins: wanted.tls.certificates,
      profile: wanted.tls.profile,
      directory: join(data, 'tls'),
      clock,
    });
  return {
    ...facts,
    keyring,
    audit,
    sessions,
    apiKeys,
    loadCertificates: load,
    ...shareCounting(opened, keyring, relay !== undefined),
  };
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
  const { clock, logger, metrics, registry, keyring, sessions, apiKeys } = foundation;
  const certificates = await foundation.loadCertificates(policy);
  if (!certificates.ok) throw new GatewayError('internal', describeMistakes(certificates.mistakes));
  const { snapshot, authority } = certificates;
  const endpoint = new TlsEndpoint({ listener: 'public', snapshot, ticketSecret: own.ticketSecret });
  const inForce = new PolicyInForce(policy, { ...foundation, read: () => own.read() });
  closers.push(() => inForce.close());
  const limits = openLimits(foundation);
  closers.push(() => limits.close());
  const pipeline = new Pipeline(inForce.snapshot, {
    clock,
    sessions,
    keys: apiKeys.service,
    credentials: apiKeys.credentials,
    signer: createAssertionKey(keyring),
    publicKeys: keyring.kids.map((kid) => createAssertionKey(keyring, kid).publicJwk),
    report: createRequestReport(metrics, logger),
    ...limits.services,
    takeAnonymous: (network) => own.takeAnonymous(network, (counted) => inForce.takeAnonymous(counted)),
  });
  registry.onCollect(() => {
    inForce.collectHealth();
    for (const { host, expiresAtMs } of endpoint.snapshot.expiries) {
      metrics.certificateExpiry.child({ host }).set(Math.floor(expiresAtMs / 1000));
    }
  });
  const failed = reportFailure(foundation, 'a session tick failed');
  closers.push(
    every(TICK_MS, () => sessions.tick().catch(failed)),
    every(TICK_MS, () => apiKeys.tick()),
  );
  return { inForce, pipeline, endpoint, authority };
}

/** Serves in this process. */
async function serveAlone(
  options: GatewayOptions,
  foundation: Foundation,
  policy: Policy,
  closers: Closers,
): Promise<Gateway> {
  const { policies, data, environment, version } = options;
  const { clock, logger, registry, sessions, apiKeys } = foundation;
  const { inForce, pipeline, endpoint, authority } = await prepareTraffic(foundation, policy, closers, {
    ticketSecret: await foundation.tickets.refresh(),
    read: () => readPolicies(policies, environment),
    takeAnonymous: (network, countHere) => countHere(network),
  });
  const reload = () => inForce.reload({ pipeline, sessions, apiKeys, endpoint });
  collectPrincipals(foundation);
  const open = await openListeners({ inForce, pipeline, sessions, endpoint, registry, version, clock });
  closers.push(() => open.close());
  const control = await startControlServer(join(data, 'control.sock'), {
    status: () => open.status(policies),
    reload,
    ...principalOperations(foundation),
  });
  const failure = (message: string) => reportFailure(foundation, message);
  closers.push(
    () => control.close(),
    foundation.tickets.follow((secret) => endpoint.rotateTickets(secret), failure('new ticket keys failed')),
    every(CERTIFICATES_MS, () => reload().catch(failure('renewing certificates failed'))),
    watchPolicy(policies, () => void reload().catch(failure('a reload failed'))),
  );
  open.setReady(true);
  logger.info('serving', { version, ...open.listeners });
  return {
    listeners: open.listeners,
    trust: trustOf(authority),
    reload,
    stop: async () => {
      open.setReady(false);
      logger.info('draining', { open: pipeline.open });
      open.stopAccepting();
      await pipeline.drain(inForce.policy.protection.drainMs);
      await closeAll(closers);
      logger.info('stopped');
    },
  };
}

/** Has worker processes serve and looks after them. */
async function supervise(
  options: GatewayOptions,
  policy: Policy,
  count: number,
  closers: Closers,
): Promise<Gateway> {
  let supervisor: Supervisor | undefined;
  const hub = new RelayHub(() => supervisor?.workers ?? []);
  const foundation = await lay(options, policy, closers, hub);
  const { logger } = foundation;
  const node = await serveNode(
    foundation,
    {
      policies: options.policies,
      logFile: options.logFile,
      count,
      hub,
      // The program that runs now, once more.
      launch: () =>
        fork(process.argv[1] ?? '', ['worker'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
      supervised: (made) => (supervisor = made),
    },
    closers,
  );
  logger.info('serving', { version: options.version, workers: count, ...node.listeners });
  return {
    listeners: node.listeners,
    trust: trustOf(node.authority),
    reload: () => node.reload(),
    stop: async () => {
      logger.info('draining', { workers: count });
      await node.drain();
      await closeAll(closers);
      logger.info('stopped');
    },
  };
}
