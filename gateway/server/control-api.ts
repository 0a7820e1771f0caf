import type { CredentialOutcome } from '../pipeline/credential-change.ts';
import type { SessionSummary } from '../session/session.ts';
import type { AdminAnswer, approvalsView } from './admin-api.ts';
import type { NodeView } from '../upstream/upstream-map.ts';
import {
  type BackupOperations,
  type BackupStatus,
  beginBackup,
  beginVerify,
  listArchives,
  showBackup,
  showRun,
} from './control-backup.ts';
import type { HeldPolicy } from './policy-guard.ts';
import {
  importKeys,
  releaseKey,
  releaseKeys,
  issueKey,
  type KeyOperations,
  revokeKey,
  rotateKey,
  setUpstreamCredential,
} from './control-keys.ts';
import { changeRegion, refuseUnseal, type RegionOperations } from './control-regions.ts';

/** What `zasov status` shows. */
export interface GatewayStatus {
  readonly version: string;
  readonly pid: number;
  readonly started_at: string;
  readonly ready: boolean;
  readonly policies: {
    readonly path: string;
    readonly loaded_at: string;
    readonly last_reload: string;
    /** A set that lowers a protection and waits for both administrators. */
    readonly held: HeldPolicy | null;
  };
  readonly listeners: Readonly<Partial<Record<string, string>>>;
  readonly sessions: number;
  readonly requests_open: number;
  readonly connections: number;
  /** Processes that serve the traffic, where it is not the one with `pid`. */
  readonly workers?: readonly {
    readonly pid: number;
    readonly connections: number;
    readonly requests_open: number;
  }[];
  readonly nodes: readonly NodeView[];
  readonly certificates: readonly { readonly host: string; readonly expires_at: string }[];
  /** `null` where the policies ask for no backups. */
  readonly backup?: BackupStatus | null;
}

/** What the control socket can do; given by the composition root. */
export interface ControlOperations extends KeyOperations, RegionOperations, BackupOperations {
  status(): Promise<GatewayStatus>;
  listSessions(filter: { account?: string; subject?: string }): Promise<SessionSummary[]>;
  revokeSession(id: string): Promise<boolean>;
  revokePerson(account: string, subject: string): Promise<number>;
  credentialsChanged(account: string, subject: string): Promise<CredentialOutcome>;
  /** The administrators and their proposals; nothing here can approve one. */
  listAdmins(): ReturnType<typeof approvalsView>;
  /** Takes certificates back. @returns `undefined` when the body names none. */
  revokeCertificates(body: unknown): Promise<AdminAnswer | undefined>;
  reload(): Promise<{ ok: boolean; mistakes: string[] }>;
}

/** An answer of the control API: a status and a JSON value. */
export interface ControlAnswer {
  readonly status: number;
  readonly value: unknown;
}

type Operation = (
  operations: ControlOperations,
  parts: readonly string[],
  query: URLSearchParams,
  body: unknown,
) => Promise<ControlAnswer>;

/** Method and path (`*` is one segment) of every operation; `openapi.yaml` beside this file describes them. */
const OPERATIONS: Record<string, Operation> = {
  'GET /v1/status': async (operations) => {
    const status = await operations.status();
    return ok({ ...status, backup: await operations.backupStatus() });
  },
  'GET /v1/sessions': async (operations, _parts, query) =>
    ok(await operations.listSessions(personFilter(query))),
  'DELETE /v1/sessions': async (operations, _parts, query) => {
    const { account, subject } = personFilter(query);
    if (account === undefined || subject === undefined)
      return refuse(400, 'account and subject are both needed');
    return ok({ revoked: await operations.revokePerson(account, subject) });
  },
  'DELETE /v1/sessions/*': async (operations, [id = '']) => {
    const isRevoked = await operations.revokeSession(id);
    return isRevoked ? ok({ revoked: 1 }) : refuse(404, `no live session "${id.slice(0, 64)}"`);
  },
  'POST /v1/subjects/*/*/credentials-changed': async (operations, [account = '', subject = '']) => {
    const { sessionsEnded, keysRotated } = await operations.credentialsChanged(account, subject);
    return ok({ sessions_ended: sessionsEnded, keys_rotated: keysRotated });
  },
  'PUT /v1/subjects/*/*/upstream-credential': (operations, parts, _query, body) =>
    setUpstreamCredential(operations, parts, body),
  'GET /v1/keys': async (operations, _parts, query) => ok(await operations.listKeys(personFilter(query))),
  'POST /v1/keys': (operations, _parts, _query, body) => issueKey(operations, body),
  'POST /v1/keys/import': (operations, _parts, _query, body) => importKeys(operations, body),
  'POST /v1/keys/*/rotate': (operations, [id = ''], _query, body) => rotateKey(operations, id, body),
  'POST /v1/keys/release': (operations) => releaseKeys(operations),
  'POST /v1/keys/*/release': (operations, [id = '']) => releaseKey(operations, id),
  'DELETE /v1/keys/*': (operations, [id = '']) => revokeKey(operations, id),
  'GET /v1/admins': async (operations) => ok(await operations.listAdmins()),
  'POST /v1/admins/revocations': async (operations, _parts, _query, body) =>
    (await operations.revokeCertificates(body)) ??
    refuse(400, 'the name of an administrator or the serial of a certificate is needed'),
  'GET /v1/regions': async (operations) => {
    const { nodes } = await operations.status();
    return ok(operations.listRegions(nodes));
  },
  'POST /v1/regions/*/drain': (operations, [id = '']) => changeRegion(operations, id, 'drain'),
  'POST /v1/regions/*/seal': (operations, [id = '']) => changeRegion(operations, id, 'seal'),
  'POST /v1/regions/*/open': (operations, [id = '']) => changeRegion(operations, id, 'open'),
  'POST /v1/regions/*/unseal': async (operations, [id = '']) => refuseUnseal(operations, id),
  'GET /v1/backup': (operations) => showBackup(operations),
  'POST /v1/backup': (operations) => beginBackup(operations),
  'POST /v1/backup/verify': (operations, _parts, _query, body) => beginVerify(operations, body),
  'GET /v1/backup/archives': (operations) => listArchives(operations),
  'GET /v1/backup/runs/*': async (operations, [id = '']) => showRun(operations, id),
  'POST /v1/reload': async (operations) => {
    const result = await operations.reload();
    return { status: result.ok ? 200 : 422, value: result };
  },
};

/** Every operation as `METHOD /path`, for the test that compares them with the OpenAPI file. */
export const CONTROL_OPERATIONS: readonly string[] = Object.keys(OPERATIONS);

/**
 * Runs one call of the control API.
 *
 * @param target path and query as received. @param body the JSON value that came, `undefined` without one.
 * @returns 404 for an unknown path, 405 for a known path with another method.
 */
export async function runControl(
  operations: ControlOperations,
  method: string,
  target: string,
  body?: unknown,
): Promise<ControlAnswer> {
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  const query = new URLSearchParams(question === -1 ? '' : target.slice(question + 1));
  let isKnownPath = false;
  for (const [key, operation] of Object.entries(OPERATIONS)) {
    const [wanted, pattern = ''] = key.split(' ');
    const parts = matchPath(pattern, path);
    if (parts === undefined) continue;
    if (wanted === method) return operation(operations, parts, query, body);
    isKnownPath = true;
  }
  return isKnownPath
    ? refuse(405, `method ${method} is not possible here`)
    : refuse(404, 'no such operation');
}

function matchPath(pattern: string, path: string): string[] | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const parts: string[] = [];
  for (const [index, part] of wanted.entries()) {
    const actual = given[index] ?? '';
    if (part === '*') {
      const decoded = decodePart(actual);
      if (decoded === undefined || decoded === '') return undefined;
      parts.push(decoded);
    } else if (part !== actual) return undefined;
  }
  return parts;
}

function decodePart(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function personFilter(query: URLSearchParams): { account?: string; subject?: string } {
  const account = query.get('account');
  const subject = query.get('subject');
  return { ...(account === null ? {} : { account }), ...(subject === null ? {} : { subject }) };
}

function ok(value: unknown): ControlAnswer {
  return { status: 200, value };
}

function refuse(status: number, error: string): ControlAnswer {
  return { status, value: { error } };
}
