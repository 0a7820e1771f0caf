import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline/promises';

import type { Administrator, CriticalAction } from '../admin/admin.ts';
import { describeAction } from '../admin/critical-action.ts';
import { makePayload, payloadHash, type ProposalPayload, signPayload } from '../admin/proposal.ts';
import { replaceFile } from '../config/private-file.ts';
import { type AdminAccess, callAdmin } from './admin-client.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

/** What the gateway shows of administrators and proposals. */
export interface AdminsOverview {
  readonly now_ms: number;
  readonly gateway: string;
  readonly list: number;
  readonly approval_expires_ms: number;
  readonly administrators: readonly Shown[];
  readonly since: string | null;
  readonly fault: string | null;
  readonly policy: readonly Shown[] | null;
  readonly held: { readonly policy: string; readonly changes: readonly string[] } | null;
  readonly proposals: readonly ProposalRow[];
}

interface Shown {
  readonly name: string;
  readonly certificate: string;
}

interface ProposalRow {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly words: readonly string[];
  readonly proposed_by: string;
  readonly expires_at: string;
  readonly payload: ProposalPayload;
}

/** How a command talks: whether a person is asked, and what comes out. */
export interface Manner {
  /** Signs without asking; for scripts, which cannot read. */
  readonly yes: boolean;
  readonly json: boolean;
}

const APPROVALS = '/.zasov/admin/approvals';

/** What is to be proposed, as it was given on the command line. */
export interface ProposeRequest extends Manner {
  readonly kind: string;
  /** A region or an archive. */
  readonly operand: string | undefined;
  /** Whose place is taken, and by whom (`NAME=sha256:…`); without them the policy's wish is proposed. */
  readonly replace: string | undefined;
  readonly with: string | undefined;
}

/** `zasov admins propose KIND`: shows the change in words, and signs it with the person's own key. */
export async function propose(access: AdminAccess, request: ProposeRequest): Promise<number> {
  const overview = (await callAdmin(access, 'GET', APPROVALS)) as AdminsOverview;
  const action = { kind: request.kind, parameters: await parametersOf(overview, request) };
  const payload = makePayload(action, {
    gateway: overview.gateway,
    list: overview.list,
    expires_ms: overview.now_ms + overview.approval_expires_ms,
  });
  if (!(await isAgreed(payload, 'propose', request))) return 1;
  const body = { payload, ...signPayload(payload, access.privateKey) };
  const made = (await callAdmin(access, 'POST', APPROVALS, body)) as ProposalRow;
  if (request.json) process.stdout.write(`${JSON.stringify(made)}\n`);
  else
    process.stdout.write(
      `proposed; the other administrator has until ${made.expires_at}:\n  zasov admins approve ${made.id} …\n`,
    );
  return 0;
}

/** `zasov admins approve ID`: shows the same words and hash, and signs them with the other's key. */
export async function approve(access: AdminAccess, id: string, manner: Manner): Promise<number> {
  const overview = (await callAdmin(access, 'GET', APPROVALS)) as AdminsOverview;
  const row = overview.proposals.find((each) => each.id === id);
  if (row === undefined) throw new Error(`there is no proposal ${id}`);
  if (row.payload.gateway !== overview.gateway) throw new Error('the proposal is for another gateway');
  if (!manner.json) process.stdout.write(`${row.proposed_by} proposes:\n`);
  if (!(await isAgreed(row.payload, 'approve', manner))) return 1;
  const body = signPayload(row.payload, access.privateKey);
  const value = await callAdmin(access, 'POST', `${APPROVALS}/${encodeURIComponent(id)}/approve`, body);
  const next =
    row.kind === 'restore' ? 'stop the gateway and run zasov restore within a day' : 'it is carried out now';
  process.stdout.write(manner.json ? `${JSON.stringify(value)}\n` : `approved; ${next}\n`);
  return 0;
}

/** `zasov admins reject ID`: ends an open proposal. */
export async function reject(access: AdminAccess, id: string, { json }: Manner): Promise<number> {
  const value = await callAdmin(access, 'POST', `${APPROVALS}/${encodeURIComponent(id)}/reject`);
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : 'rejected\n');
  return 0;
}

/** `zasov admins renew`: gets another certificate for the same key and puts it in the place of the old one. */
export async function renew(access: AdminAccess, certFile: string, { json }: Manner): Promise<number> {
  const { public_key } = signPayloadKey(access);
  const value = (await callAdmin(access, 'POST', '/.zasov/admin/certificate', { public_key })) as {
    certificate: string;
    expires_at: string;
  };
  await replaceFile(certFile, value.certificate, 0o644);
  const facts = { cert_file: certFile, expires_at: value.expires_at };
  process.stdout.write(
    json ? `${JSON.stringify(facts)}\n` : `${certFile} is good until ${value.expires_at}\n`,
  );
  return 0;
}

function signPayloadKey({ privateKey }: AdminAccess): { public_key: string } {
  const none = { id: '', nonce: '', gateway: '', kind: '', parameters: {}, list: 0, expires_ms: 0 };
  return { public_key: signPayload(none, privateKey).public_key };
}

/** Shows administrators and proposals for people. */
export function describeAdmins(overview: AdminsOverview): string {
  const { administrators, policy, proposals, fault, since } = overview;
  const lines: string[] = [];
  if (fault !== null) lines.push(`NOBODY IS LET IN: ${fault}`, '');
  lines.push(
    administrators.length === 0
      ? 'nobody is enrolled'
      : table(
          ['administrator', 'certificate'],
          administrators.map(({ name, certificate }) => [name, certificate]),
        ),
  );
  if (since !== null) lines.push(`in force since ${since}`);
  if (policy !== null)
    lines.push(
      '',
      'the policy names others, which both must sign (zasov admins propose replace_administrators):',
      ...policy.map(({ name, certificate }) => `  ${name}  ${certificate}`),
    );
  if (overview.held !== null)
    lines.push(
      '',
      'policies that lower a protection are held until both sign (zasov admins propose lower_protection):',
      ...overview.held.changes.map((each) => `  ${each}`),
    );
  const rows = proposals.map(({ id, kind, state, proposed_by, expires_at }) => [
    id,
    kind,
    state,
    proposed_by,
    expires_at,
  ]);
  if (rows.length > 0) lines.push('', table(['proposal', 'kind', 'state', 'proposed by', 'expires'], rows));
  return lines.join('\n');
}

/**
 * Shows what would be signed, made from the payload on this machine, and asks.
 *
 * @throws Error when there is nobody to ask.
 */
async function isAgreed(payload: ProposalPayload, verb: string, { yes, json }: Manner): Promise<boolean> {
  const words = describeAction(payload);
  if (words === undefined)
    throw new Error('this version cannot say in words what the proposal does; not signed');
  const lines = [
    ...words.map((line) => `  ${line}`),
    `until    ${new Date(payload.expires_ms).toISOString()}`,
    `gateway  ${payload.gateway}`,
    `hash     sha256:${payloadHash(payload)}`,
  ];
  if (!json || !yes) process.stderr.write(`${lines.join('\n')}\n`);
  if (yes) return true;
  if (!process.stdin.isTTY) throw new Error('nobody is there to be asked; --yes signs without a question');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${verb} this with your key? Type yes: `);
    return answer.trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}

async function parametersOf(
  overview: AdminsOverview,
  request: ProposeRequest,
): Promise<CriticalAction['parameters']> {
  const { kind, operand } = request;
  if (kind === 'replace_administrators') return replacement(overview, request);
  if (kind === 'unseal_region' && operand !== undefined) return { region: operand.replace(/^region=/, '') };
  if (kind === 'lower_protection' && operand === undefined) return lowering(overview);
  if (kind === 'restore' && operand !== undefined)
    return { archive: basename(operand), sha256: await hashOf(operand) };
  throw new UsageError(
    `zasov admins propose replace_administrators | unseal_region REGION | restore ARCHIVE | lower_protection`,
  );
}

function lowering({ held }: AdminsOverview): CriticalAction['parameters'] {
  if (held === null) throw new Error('no policies are held; nothing to propose');
  return { ...held };
}

function replacement(overview: AdminsOverview, request: ProposeRequest): CriticalAction['parameters'] {
  const plain = ({ name, certificate }: Shown): Administrator => ({
    name,
    fingerprint: certificate.replace('sha256:', ''),
  });
  const from = overview.administrators.map(plain);
  if (request.replace === undefined && request.with === undefined) {
    if (overview.policy === null)
      throw new Error('the policy names the administrators in force; nothing to propose');
    return { from, to: overview.policy.map(plain) };
  }
  const [, name, digits] = /^(.+)=sha256:([0-9A-Fa-f:]{64,95})$/.exec(request.with ?? '') ?? [];
  if (name === undefined || digits === undefined || !from.some((each) => each.name === request.replace))
    throw new UsageError('--replace NAME (of one in force) --with NAME=sha256:…');
  const next = { name, fingerprint: digits.replaceAll(':', '').toLowerCase() };
  return { from, to: from.map((each) => (each.name === request.replace ? next : each)) };
}

async function hashOf(file: string): Promise<string> {
  if (!existsSync(file)) throw new Error(`${file} does not exist`);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}

/** Reads the serial number that a certificate file has, for `zasov admins revoke FILE`. */
export function isCertificateFile(text: string): boolean {
  return existsSync(text) && readFileSync(text, 'utf8').includes('-----BEGIN CERTIFICATE-----');
}
