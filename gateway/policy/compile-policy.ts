import { resolve } from 'node:path';

import { anyGlob, compileTextGlob } from '../core/glob.ts';
import { networkList } from '../core/network.ts';
import { compileApiKeys } from './compile-api-keys.ts';
import { compileBackup } from './compile-backup.ts';
import { compileCrossOrigin, compileHeaders, compileStrictTransport } from './compile-answers.ts';
import { compileLimit, compileSignInRules } from './compile-limits.ts';
import { compileAnswerRule } from './compile-answer-rule.ts';
import { compilePaths, compileRequestRule } from './compile-request-rule.ts';
import type { StoreChoice } from '../store/open-store.ts';
import type { RedisPlace } from '../store/redis-connection.ts';
import type { PolicyOutline } from './policy-outline.ts';
import type { PolicySettings } from './policy-schema.ts';
import type {
  AccountRule,
  AdminAccessPolicy,
  CertificateSource,
  Policy,
  Route,
  RoutingPolicy,
  SessionPolicy,
} from './policy.ts';

const DEFAULT_GRACE_MS = 20_000;

/** Turns validated settings into the snapshot that the request path works with. */
export function compilePolicy(settings: PolicySettings, outline: PolicyOutline): Policy {
  const { protection } = settings;
  return {
    listen: { ...settings.listen, public: compilePublic(settings.listen.public) },
    workers: settings.workers,
    trustedProxies: networkList(settings.trusted_proxies),
    store: compileStore(settings.store),
    masterKey: settings.secrets.master_key,
    tls: { profile: settings.tls.profile, certificates: compileCertificates(settings) },
    accounts: compileAccounts(settings.accounts),
    regions: settings.regions.map(({ id, nodes, role, health, facility, servers, tls }) => ({
      id,
      nodes,
      role,
      health: {
        path: health.path,
        everyMs: health.every,
        timeoutMs: health.timeout,
        unhealthyAfter: health.unhealthy_after,
        healthyAfter: health.healthy_after,
      },
      facility,
      servers,
      tls: tls && {
        caFile: tls.ca && resolve(tls.ca),
        certFile: tls.cert && resolve(tls.cert),
        keyFile: tls.key && resolve(tls.key),
        serverName: tls.server_name,
      },
    })),
    routing: compileRouting(settings),
    routes: settings.routes.map((route): Route => {
      const isOpening = route.access !== 'deny' && route.access !== 'admin';
      return {
        name: route.name,
        matches: compileRequestRule(route.match, isOpening ? 'grants' : 'restricts'),
        access: route.access,
        writes: route.writes,
        onUnauthenticated: route.on_unauthenticated,
        limit: compileLimit(settings, route.limit),
        security: compileHeaders(settings.headers, route.headers),
        // The administrators' pages and what is closed are for nobody's scripts.
        crossOrigin: isOpening ? compileCrossOrigin(route.cors ?? settings.cors) : undefined,
        bodyLimitBytes: route.body_bytes ?? protection.body_bytes,
      };
    }),
    signInRules: compileSignInRules(settings),
    sessions: compileSessions(settings.sessions),
    apiKeys: compileApiKeys(settings),
    admins: settings.admins?.map(({ name, certificate }) => ({ name, fingerprint: certificate })),
    adminAccess: compileAdminAccess(settings),
    protection: {
      headerBytes: protection.header_bytes,
      headerTimeoutMs: protection.header_timeout,
      bodyIdleTimeoutMs: protection.body_idle_timeout,
      upstreamTimeoutMs: protection.upstream_timeout,
      connections: protection.connections,
      connectionsPerClient: protection.connections_per_client,
      streamMaxAgeMs: protection.stream_max_age,
      drainMs: protection.drain,
    },
    auditDirectory: settings.audit.dir === undefined ? undefined : resolve(settings.audit.dir),
    backup: compileBackup(settings),
    outline,
    strictTransport: compileStrictTransport(settings.headers),
    logLevel: settings.log.level,
  };
}

function compilePublic(settings: PolicySettings['listen']['public']): Policy['listen']['public'] {
  const { address, port, proxy_protocol: proxyProtocol } = settings;
  return { address, port, proxyProtocol };
}

/** The schema has seen to it that a Redis has exactly one way to be reached. */
function compileStore(store: PolicySettings['store']): StoreChoice {
  const { kind, url, sentinels, name, cluster, username, password } = store;
  if (kind === 'embedded') return { kind };
  const redis = (place: RedisPlace): StoreChoice => ({ kind, place, password });
  if (cluster !== undefined) return redis({ kind: 'cluster', nodes: cluster, username });
  if (sentinels !== undefined) return redis({ kind: 'sentinel', sentinels, name: name ?? '', username });
  return redis({ kind: 'single', url: url ?? '', username });
}

function compileAdminAccess({ admin_access: access, routes }: PolicySettings): AdminAccessPolicy {
  return {
    networks: access.networks.length === 0 ? undefined : networkList(access.networks),
    requiresPasskey: access.passkey === 'require',
    approvalExpiresMs: access.approval_expires,
    servers: access.servers,
    pages: routes
      .filter((route) => route.access === 'admin')
      .flatMap(({ match }) => match.path ?? [])
      .filter((path) => !path.includes('*')),
  };
}

function compileCertificates({ tls, accounts }: PolicySettings): CertificateSource[] {
  if (tls.certificates === undefined) return [{ kind: 'self_signed', hosts: defaultHosts(accounts.host) }];
  return tls.certificates.flatMap(({ hosts, self_signed: isSelfSigned, cert, key }): CertificateSource[] => {
    if (isSelfSigned === true) return [{ kind: 'self_signed', hosts }];
    if (cert === undefined || key === undefined) return [];
    return [{ kind: 'files', hosts, certFile: resolve(cert), keyFile: resolve(key) }];
  });
}

function defaultHosts(host: { prefix: string; suffix: string } | undefined): string[] {
  if (host === undefined || host.prefix !== '' || !host.suffix.startsWith('.')) return ['localhost'];
  return [`*${host.suffix}`, host.suffix.slice(1), 'localhost'];
}

function compileAccounts({ host, header, single }: PolicySettings['accounts']): AccountRule {
  if (host !== undefined) return { kind: 'host', ...host };
  return header === undefined ? { kind: 'single', account: single ?? 'main' } : { kind: 'header', header };
}

function compileRouting({ routing, regions }: PolicySettings): RoutingPolicy {
  const ids = regions.map(({ id }) => id);
  return {
    defaultRegion: routing.home.default ?? ids[0] ?? '',
    homeByAccount: new Map(Object.entries(routing.home.accounts)),
    failover: routing.failover ?? ids,
    readsNearest: routing.reads === 'nearest',
    maxLagMs: routing.max_lag,
    writeWaitMs: routing.write_wait,
    retryAttempts: routing.retry.attempts,
  };
}

/** The grace that holds when a policy names none: it must leave half of a rotation without old ids. */
export function defaultGraceMs(rotateEveryMs: number): number {
  return Math.min(DEFAULT_GRACE_MS, Math.floor(rotateEveryMs / 3));
}

function compileSessions(sessions: PolicySettings['sessions']): SessionPolicy {
  return {
    rotateEveryMs: sessions.rotate_every,
    graceMs: sessions.grace ?? defaultGraceMs(sessions.rotate_every),
    idleMs: sessions.idle,
    lifetimeMs: sessions.lifetime,
    perSubject: sessions.per_subject,
    bind: { userAgent: sessions.bind.includes('user_agent'), network: sessions.bind.includes('network') },
    crashGrace: sessions.crash_grace,
    loginPage: sessions.login_page,
    anonymous: { lifetimeMs: sessions.anonymous.lifetime, perClient: sessions.anonymous.per_client },
    isVaulted: anyGlob(sessions.vault.map(compileTextGlob)),
    isStripped: anyGlob(sessions.strip.map(compileTextGlob)),
    isPassive: compilePaths(sessions.passive),
    allowsCrossSite: compilePaths(sessions.allow_cross_site),
    upstreamLost: sessions.upstream_lost,
    begin: sessions.begin.map(({ match, subject, success }) => ({
      matches: compileRequestRule(match, 'restricts'),
      subject,
      success: compileAnswerRule(success),
    })),
    end: sessions.end.map(({ match }) => compileRequestRule(match, 'restricts')),
    credentialChange: sessions.credential_change.map(({ match, when, success, subject }) => ({
      matches: compileRequestRule(match, 'restricts', when),
      success: compileAnswerRule(success),
      subject,
    })),
  };
}
