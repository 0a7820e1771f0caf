import { z } from 'zod';

import type { IssuedKey, IssueRequest, KeySummary } from '../api-key/api-key.ts';
import { parseDuration } from '../core/duration.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { isHeaderValue } from '../core/header-value.ts';
import { networkMistake } from '../core/network.ts';

/** What the control socket can do to API keys. */
export interface KeyOperations {
  issueKey(request: IssueRequest): Promise<IssuedKey>;
  listKeys(filter: { account?: string; subject?: string }): Promise<KeySummary[]>;
  /** @returns `undefined` when no such key works. */
  rotateKey(id: string, overlapMs: number): Promise<IssuedKey | undefined>;
  revokeKey(id: string): Promise<boolean>;
  /** @returns whether it was on hold. */
  releaseKey(id: string): Promise<boolean>;
  /** Does a part of all that are on hold. */
  releaseKeys(limit: number): Promise<{ released: number; left: number }>;
  setUpstreamCredential(account: string, subject: string, credential: string): Promise<number>;
  /** @throws GatewayError `route_denied` when the policies refuse imported keys. */
  importKey(request: IssueRequest & { readonly imported: string }): Promise<IssuedKey>;
}

/** An answer of the control API. */
interface Answer {
  readonly status: number;
  readonly value: unknown;
}

const name = z.string().min(1, 'is empty').max(256, 'longer than 256 characters');
const labelText = z.string().max(200, 'longer than 200 characters').optional();
const credential = z.string().refine(isHeaderValue, 'not the value of a header');
const network = z.string().refine((text) => networkMistake(text) === undefined, 'not a network');
const requests = z.string().refine((text) => {
  const [count = '', window = ''] = text.split('/');
  return /^[1-9]\d{0,8}$/.test(count) && parseDuration(window) !== undefined && text.split('/').length === 2;
}, 'not a rate such as 20/1s');
const issueSchema = z.strictObject({
  account: name,
  subject: name,
  label: labelText,
  scope: z
    .strictObject({
      routes: z.array(name).max(100).optional(),
      methods: z
        .array(z.string().regex(/^[A-Z]{1,20}$/, 'not a method such as GET'))
        .max(20)
        .optional(),
      read_only: z.boolean().optional(),
      networks: z.array(network).max(100).optional(),
      requests: requests.optional(),
    })
    .optional(),
  upstream_credential: credential.optional(),
});
const credentialSchema = z.strictObject({ credential });
const importSchema = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        account: name,
        subject: name,
        key: z.string().max(512),
        label: labelText,
      }),
    )
    .max(1000),
});
/** Keys that one call takes off hold at most. */
const RELEASED_AT_ONCE = 1000;
const rotateSchema = z.strictObject({ overlap: z.string().optional() });

/** `POST /v1/keys`. */
export async function issueKey(operations: KeyOperations, body: unknown): Promise<Answer> {
  const read = issueSchema.safeParse(body);
  if (!read.success) return mistakes(read.error);
  const { account, subject, label, scope = {}, upstream_credential: upstreamCredential } = read.data;
  const { read_only: isReadOnly = false, routes = [], methods = [], networks = [], requests: rate } = scope;
  const full = { routes, methods, networks, isReadOnly, requests: rate };
  const issued = await operations.issueKey({ account, subject, label, scope: full, upstreamCredential });
  return { status: 201, value: issued };
}

/** `POST /v1/keys/{id}/rotate`. */
export async function rotateKey(operations: KeyOperations, id: string, body: unknown): Promise<Answer> {
  const read = rotateSchema.safeParse(body ?? {});
  if (!read.success) return mistakes(read.error);
  const overlapMs = parseDuration(read.data.overlap ?? '0s');
  if (overlapMs === undefined) return refuse(400, 'overlap: not a duration such as 1h');
  const issued = await operations.rotateKey(id, overlapMs);
  return issued === undefined ? unknownKey(id) : { status: 200, value: issued };
}

/** `DELETE /v1/keys/{id}`. */
export async function revokeKey(operations: KeyOperations, id: string): Promise<Answer> {
  return (await operations.revokeKey(id)) ? { status: 200, value: { revoked: 1 } } : unknownKey(id);
}

/** `POST /v1/keys/{id}/release`. */
export async function releaseKey(operations: KeyOperations, id: string): Promise<Answer> {
  if (await operations.releaseKey(id)) return { status: 200, value: { released: 1 } };
  return refuse(404, `no key "${id.slice(0, 64)}" is on hold`);
}

/** `POST /v1/keys/release`. In parts, so that each call answers within seconds however many keys there are. */
export async function releaseKeys(operations: KeyOperations): Promise<Answer> {
  return { status: 200, value: await operations.releaseKeys(RELEASED_AT_ONCE) };
}

/** `PUT /v1/subjects/{account}/{subject}/upstream-credential`. */
export async function setUpstreamCredential(
  operations: KeyOperations,
  [account = '', subject = '']: readonly string[],
  body: unknown,
): Promise<Answer> {
  const read = credentialSchema.safeParse(body);
  if (!read.success) return mistakes(read.error);
  const keys = await operations.setUpstreamCredential(account, subject, read.data.credential);
  return { status: 200, value: { keys } };
}

/** `POST /v1/keys/import`. One that is refused keeps none of the others out. */
export async function importKeys(operations: KeyOperations, body: unknown): Promise<Answer> {
  const read = importSchema.safeParse(body);
  if (!read.success) return mistakes(read.error);
  const refused: { index: number; error: string }[] = [];
  for (const [index, { key: imported, ...request }] of read.data.keys.entries()) {
    try {
      await operations.importKey({ ...request, imported });
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      if (error.code === 'route_denied')
        return refuse(403, 'the policies take over no keys of other programs; see api_keys.imported');
      if (error.code !== 'key_malformed') throw error;
      refused.push({ index, error: 'shorter than 20 characters, or imported before' });
    }
  }
  return { status: 200, value: { imported: read.data.keys.length - refused.length, refused } };
}

/** Says where a body is wrong, and never what stood there. */
function mistakes(error: z.ZodError): Answer {
  const [first] = error.issues;
  const path = first?.path.join('.') ?? '';
  // This one would repeat names that were sent.
  const isUnknown = first === undefined || first.code === 'unrecognized_keys';
  return refuse(
    400,
    `${path === '' ? 'the body' : path}: ${isUnknown ? 'holds a key that is not known' : first.message}`,
  );
}

function unknownKey(id: string): Answer {
  return refuse(404, `no key "${id.slice(0, 64)}" works`);
}

function refuse(status: number, error: string): Answer {
  return { status, value: { error } };
}
