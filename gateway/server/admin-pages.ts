import type { Administrator } from '../admin/admin.ts';
import type { BackupFacts } from '../backup/backup-lease.ts';
import { isOverdue, nextDueMs } from '../backup/schedule.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { ADMIN_BODY_BYTES } from '../pipeline/admin-services.ts';
import { CONSOLE_PATH } from '../pipeline/authenticate.ts';
import type { ConsoleBackup, ConsoleFacts, DrawConsole } from '../pipeline/console-facts.ts';
import { refuseCrossSite } from '../pipeline/cross-site.ts';
import type { OwnAnswer } from '../pipeline/own-page.ts';
import { prefersRussian } from '../pipeline/problem-page.ts';
import type { RequestContext } from '../pipeline/request-context.ts';
import type { BackupPolicy } from '../policy/compile-backup.ts';
import type { Policy } from '../policy/policy.ts';
import type { RequestBody } from '../proxy/request-body.ts';
import type { UpstreamMap } from '../upstream/upstream-map.ts';
import { approvalsView, runAdminApi } from './admin-api.ts';
import type { AdminPage } from './admin-service.ts';
import type { AdminTunnels } from './admin-tunnels.ts';
import type { Admins } from './open-admins.ts';
import type { Regions } from './open-regions.ts';

const API_PREFIX = '/.zasov/admin/';

/** The administrators' API over the admin listener: what `zasov admins` calls from the person's own machine. */
export function createAdminApiPage(admins: Admins): AdminPage {
  return (context, administrator, body) =>
    context.path.startsWith(API_PREFIX) ? callApi(admins, context, administrator, body) : undefined;
}

async function callApi(
  admins: Admins,
  context: RequestContext,
  administrator: Administrator,
  body: RequestBody | undefined,
): Promise<OwnAnswer> {
  const { method, path } = context;
  // The browser sends the certificate whoever makes it ask.
  refuseCrossSite(context);
  const value = body === undefined ? undefined : await readJson(context, body);
  const answer = await runAdminApi(admins, administrator, method, path, value);
  if (answer === undefined) throw new GatewayError('not_found', `no operation ${path}`);
  return ownAnswer(context, answer.status, 'application/json', JSON.stringify(answer.value));
}

/** JSON by its type only: a form of another site cannot send that (OWASP CSRF, custom request headers). */
async function readJson({ head }: RequestContext, body: RequestBody): Promise<unknown> {
  if (!/^application\/json\s*(?:;|$)/i.test(head.contentType ?? ''))
    throw new GatewayError('bad_request', 'the body is no application/json');
  const bytes = await body.peek(ADMIN_BODY_BYTES);
  if (bytes === undefined) throw new GatewayError('body_too_large', 'the body is too long');
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new GatewayError('bad_request', 'the body is no JSON', { cause: error });
  }
}

/** What the console is drawn from. */
export interface ConsoleSources {
  readonly admins: Admins;
  readonly regions: Regions;
  readonly tunnels: AdminTunnels;
  readonly inForce: { readonly policy: Policy; readonly upstreams: UpstreamMap };
  readonly draw: DrawConsole;
  /** What the store knows of the fleet's backups. */
  readonly backups: () => Promise<BackupFacts>;
}

/** `/.zasov/console`. */
export function createConsolePage(sources: ConsoleSources): AdminPage {
  return (context, administrator) =>
    context.path === CONSOLE_PATH ? showConsole(sources, context, administrator) : undefined;
}

async function showConsole(
  sources: ConsoleSources,
  context: RequestContext,
  administrator: Administrator & { readonly certificateEndsMs?: number | undefined },
): Promise<OwnAnswer> {
  const { method, head, query } = context;
  if (method !== 'GET' && method !== 'HEAD')
    throw new GatewayError('method_refused', `method ${method} on ${CONSOLE_PATH}`);
  const asked = query.get('lang');
  const isRussian = asked === 'ru' || (asked !== 'en' && prefersRussian(head.acceptLanguage));
  const { name, certificateEndsMs } = administrator;
  const facts = await consoleFacts(sources, { name, certificateEndsMs });
  const { html, security } = sources.draw(facts, isRussian ? 'ru' : 'en');
  return ownAnswer(context, 200, 'text/html; charset=utf-8', html, [
    'content-security-policy',
    security,
    'referrer-policy',
    'no-referrer',
    'vary',
    'Accept-Language',
  ]);
}

async function consoleFacts(
  { admins, regions, tunnels, inForce, backups }: ConsoleSources,
  administrator: ConsoleFacts['administrator'],
): Promise<ConsoleFacts> {
  const view = await approvalsView(admins);
  const { policy, upstreams } = inForce;
  return {
    nowMs: view.now_ms,
    administrator,
    administrators: admins.list.administrators,
    wished: view.policy?.map(({ name, certificate }) => `${name} (${certificate})`) ?? [],
    proposals: view.proposals
      .filter(({ state }) => state === 'open')
      .map(({ id, words, hash, proposed_by: proposedBy, expires_at: expiresAt }) => ({
        id,
        words,
        hash,
        proposedBy,
        expiresMs: Date.parse(expiresAt),
      })),
    regions: policy.regions.map(({ id }) => ({
      id,
      condition: regions.conditions.of(id),
      nodes: upstreams.nodes
        .filter(({ region }) => region === id)
        .map(({ origin, healthy }) => ({ url: origin, healthy })),
    })),
    servers: policy.adminAccess.servers,
    tunnels: tunnels.open,
    backup: policy.backup && consoleBackup(policy.backup, await backups(), view.now_ms),
    pages: policy.adminAccess.pages,
  };
}

function consoleBackup(rhythm: BackupPolicy, facts: BackupFacts, nowMs: number): ConsoleBackup {
  const { last, failure, holder } = facts;
  return {
    last,
    isOverdue: isOverdue(rhythm, facts, nowMs),
    nextMs: nextDueMs(rhythm, facts, nowMs),
    failure,
    isUnderWay: holder !== undefined,
  };
}

function ownAnswer(
  { requestId, method }: RequestContext,
  status: number,
  type: string,
  text: string,
  more: readonly string[] = [],
): OwnAnswer {
  const body = Buffer.from(text);
  const headers = [
    'content-type',
    type,
    'cache-control',
    'no-store',
    'x-content-type-options',
    'nosniff',
    ...more,
  ];
  headers.push('x-request-id', requestId, 'content-length', String(body.byteLength));
  return { status, headers, body: method === 'HEAD' ? Buffer.alloc(0) : body };
}
