import { createPublicKey } from 'node:crypto';

import { z } from 'zod';

import { fingerprintOf } from '../admin/client-certificate.ts';
import type { Administrator } from '../admin/admin.ts';
import type { DeskOutcome, DeskRefusal } from '../admin/approval-desk.ts';
import { describeAction } from '../admin/critical-action.ts';
import type { Proposal } from '../admin/proposal-life.ts';
import { payloadHash } from '../admin/proposal.ts';
import { readSerial, type Revocation } from '../admin/revocations.ts';
import type { Admins } from './open-admins.ts';

/** An answer of the administrators' API: a status and a JSON value. */
export interface AdminAnswer {
  readonly status: number;
  readonly value: unknown;
}

type Operation = (
  admins: Admins,
  administrator: Administrator,
  id: string,
  body: unknown,
) => Promise<AdminAnswer>;

const PREFIX = '/.zasov/admin';

/** Method and path (`*` is one segment) of every operation; `admin-openapi.yaml` beside this file describes them. */
const OPERATIONS: Record<string, Operation> = {
  'GET /.zasov/admin/approvals': async (admins) => ok(await approvalsView(admins)),
  'POST /.zasov/admin/approvals': async (admins, administrator, _id, body) => {
    const parsed = proposalBody.safeParse(body);
    if (!parsed.success) return refuse(400, 'payload, public_key and signature are needed');
    const { payload, ...signature } = parsed.data;
    return outcome(await admins.approvals.propose(administrator, payload, signature), 201);
  },
  'POST /.zasov/admin/approvals/*/approve': async (admins, administrator, id, body) => {
    const parsed = signatureBody.safeParse(body);
    if (!parsed.success) return refuse(400, 'public_key and signature are needed');
    return outcome(await admins.approvals.approve(administrator, id, parsed.data));
  },
  'POST /.zasov/admin/approvals/*/reject': async (admins, administrator, id) =>
    outcome(await admins.approvals.reject(administrator, id)),
  'POST /.zasov/admin/certificate': async (admins, administrator, _id, body) => {
    const parsed = z.strictObject({ public_key: z.string().max(4096) }).safeParse(body);
    if (!parsed.success) return refuse(400, 'public_key is needed');
    return renew(admins, administrator, parsed.data.public_key);
  },
  'POST /.zasov/admin/revocations': async (admins, administrator, _id, body) => {
    const revoked = await revokeCertificates(admins, administrator.name, body);
    return revoked ?? refuse(400, 'the name of an administrator or the serial of a certificate is needed');
  },
};

/** Every operation as `METHOD /path`, for the test that compares them with the OpenAPI file. */
export const ADMIN_OPERATIONS: readonly string[] = Object.keys(OPERATIONS);

const signatureBody = z.strictObject({
  public_key: z.string().max(4096),
  signature: z.string().max(4096),
});
const token = z.string().regex(/^[A-Za-z0-9_-]{22}$/);
const proposalBody = signatureBody.extend({
  payload: z.strictObject({
    id: token,
    nonce: token,
    gateway: token,
    kind: z.string().max(64),
    parameters: z.record(z.string(), z.unknown()),
    list: z.int().min(1),
    expires_ms: z.int().min(0),
  }),
});

/**
 * Runs one call of the administrators' API.
 *
 * @param administrator whose certificate it came with: established by the listener, never by the body.
 * @param path without the query. @param body the JSON value that came, `undefined` without one.
 * @returns `undefined` for a path that is not here; 405 for a known path with another method.
 * @throws GatewayError `audit_unavailable`, `store_unavailable`, `admin_untrusted`: then nothing was done.
 */
export function runAdminApi(
  admins: Admins,
  administrator: Administrator,
  method: string,
  path: string,
  body?: unknown,
): Promise<AdminAnswer> | undefined {
  if (!path.startsWith(`${PREFIX}/`)) return undefined;
  let isKnownPath = false;
  for (const [key, operation] of Object.entries(OPERATIONS)) {
    const [wanted, pattern = ''] = key.split(' ');
    const id = matchPath(pattern, path);
    if (id === undefined) continue;
    if (wanted === method) return operation(admins, administrator, id, body);
    isKnownPath = true;
  }
  return isKnownPath ? Promise.resolve(refuse(405, `method ${method} is not possible here`)) : undefined;
}

/** What both see: who they are, what waits, and what the policy wishes for. */
export async function approvalsView(admins: Admins) {
  await admins.approvals.refresh();
  const { list, approvals } = admins;
  return {
    now_ms: admins.now(),
    ...adminsView(admins),
    gateway: list.gateway,
    list: list.listNumber,
    approval_expires_ms: admins.longestMs(),
    kinds: approvals.kinds,
    /** A set of policies that lowers a protection and waits. */
    held: (await admins.guard.heldAnywhere()) ?? null,
    proposals: approvals.proposals.map((each) => proposalView(each)),
  };
}

/** The administrators in force, as `zasov admins list` shows them. */
function adminsView({ list, approvals }: Admins) {
  const shown = ({ name, fingerprint }: Administrator) => ({ name, certificate: `sha256:${fingerprint}` });
  return {
    administrators: list.administrators.map(shown),
    since: list.sinceMs === undefined ? null : new Date(list.sinceMs).toISOString(),
    fault: list.fault ?? null,
    /** What the policy wishes for, where it is something else. */
    policy: list.proposed?.map(shown) ?? null,
    pending: approvals.pending,
  };
}

function proposalView(proposal: Proposal) {
  const { payload, state, proposed, approved, ended } = proposal;
  return {
    id: payload.id,
    kind: payload.kind,
    state,
    hash: payloadHash(payload),
    words: describeAction(payload) ?? [],
    proposed_by: proposed.name,
    proposed_at: new Date(proposed.at_ms).toISOString(),
    approved_by: approved?.name ?? null,
    expires_at: new Date(payload.expires_ms).toISOString(),
    ended_at: ended === undefined ? null : new Date(ended.at_ms).toISOString(),
    ended_by: ended?.by ?? null,
    reason: ended?.reason ?? null,
    payload,
  };
}

/** The holder's own renewal: another certificate for the same key, which is what the list pins. */
async function renew(admins: Admins, administrator: Administrator, publicKey: string): Promise<AdminAnswer> {
  const key = createKey(publicKey);
  if (key === undefined || fingerprintOf(key) !== administrator.fingerprint)
    return refuse(
      403,
      'only the key that is enrolled gets a certificate; another key needs both administrators',
    );
  const { certPem, authorityPem, expiresAtMs } = await admins.renew(administrator, key);
  return ok({
    certificate: certPem,
    authority: authorityPem,
    expires_at: new Date(expiresAtMs).toISOString(),
  });
}

function createKey(spki: string) {
  try {
    return createPublicKey({ key: Buffer.from(spki, 'base64'), type: 'spki', format: 'der' });
  } catch {
    return undefined;
  }
}

/**
 * Takes back one certificate, or all that an administrator has until now. It closes a door, so one person may do it;
 * the enrolled key stays enrolled.
 *
 * @param by whose decision it is. @returns `undefined` when the body names neither.
 */
export async function revokeCertificates(
  admins: Admins,
  by: string,
  body: unknown,
): Promise<AdminAnswer | undefined> {
  const parsed = z
    .union([z.strictObject({ serial: z.string() }), z.strictObject({ name: z.string() })])
    .safeParse(body);
  if (!parsed.success) return undefined;
  const { list } = admins;
  const common = { at_ms: admins.now(), by };
  const { data } = parsed;
  let revocation: Revocation | undefined;
  if ('serial' in data) {
    const serial = readSerial(data.serial);
    revocation = serial === undefined ? undefined : { ...common, serial };
  } else {
    const known = list.administrators.find(({ name }) => name === data.name);
    revocation = known && { ...common, fingerprint: known.fingerprint };
  }
  if (revocation === undefined) return undefined;
  await list.revoke(revocation);
  return ok({ revoked: true });
}

/** What a refusal says, and with which status. */
const REFUSALS: Readonly<Record<DeskRefusal, readonly [status: number, says: string]>> = {
  unknown_kind: [400, 'there is no such action, or its parameters are not what it needs'],
  not_possible: [400, 'nobody here carries out such an action'],
  wrong_action: [400, 'the action is not possible'],
  bad_signature: [403, 'the signature is not that of your key under this payload'],
  not_listed: [403, 'you are not an administrator'],
  own_signature: [
    403,
    'the proposer’s second signature counts for nothing; the other administrator must approve',
  ],
  not_found: [404, 'there is no such proposal'],
  open_already: [409, 'another proposal of this kind is open; reject it first'],
  replayed: [409, 'this proposal was made before'],
  not_open: [409, 'the proposal is not open any more'],
  stale_list: [409, 'the list of administrators is another one than the proposal was made under'],
  expired: [410, 'the proposal has expired'],
  wrong_expiry: [400, 'the proposal would wait longer than admin_access.approval_expires'],
  leased: [409, 'somebody else is carrying it out'],
  nothing_to_do: [409, 'there is nothing to do'],
};

function outcome(result: DeskOutcome, status = 200): AdminAnswer {
  if ('proposal' in result) return { status, value: proposalView(result.proposal) };
  const [refusedStatus, says] = REFUSALS[result.refused];
  const more = 'says' in result && result.says !== undefined ? `: ${result.says}` : '';
  return { status: refusedStatus, value: { error: `${says}${more}`, code: result.refused } };
}

/** @returns what `*` stands for, empty without one; `undefined` when the path is another one. */
function matchPath(pattern: string, path: string): string | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  let id = '';
  for (const [index, part] of wanted.entries()) {
    const actual = given[index] ?? '';
    if (part === '*' && /^[A-Za-z0-9_-]{1,64}$/.test(actual)) id = actual;
    else if (part !== actual) return undefined;
  }
  return id;
}

function ok(value: unknown): AdminAnswer {
  return { status: 200, value };
}

function refuse(status: number, error: string): AdminAnswer {
  return { status, value: { error } };
}
