import type { Administrator } from '../admin/admin.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { ADMIN_BODY_BYTES } from '../pipeline/admin-services.ts';
import { refuseCrossSite } from '../pipeline/cross-site.ts';
import type { OwnAnswer } from '../pipeline/own-page.ts';
import type { RequestBody } from '../proxy/request-body.ts';
import { runAdminApi } from './admin-api.ts';
import type { AdminPage } from './admin-service.ts';
import type { Admins } from './open-admins.ts';

/** The administrators' API as it is mounted on the admin listener. */
export function createAdminApiPage(admins: Admins): AdminPage {
  return (context, administrator, body) => {
    const { method, path } = context;
    if (!path.startsWith('/.zasov/admin/')) return undefined;
    // The browser sends the certificate whoever asks it to.
    refuseCrossSite(context);
    return answer(admins, administrator, method, path, body);
  };
}

/** @throws GatewayError `not_found`, `bad_request`, `body_too_large`, and as {@link runAdminApi}. */
async function answer(
  admins: Admins,
  administrator: Administrator,
  method: string,
  path: string,
  body: RequestBody | undefined,
): Promise<OwnAnswer> {
  const result = await runAdminApi(admins, administrator, method, path, await readJson(body));
  if (result === undefined) throw new GatewayError('not_found', `nothing is at ${path}`);
  const bytes = Buffer.from(`${JSON.stringify(result.value)}\n`);
  return {
    status: result.status,
    headers: [
      'content-type',
      'application/json',
      'content-length',
      String(bytes.byteLength),
      'cache-control',
      'no-store',
      'x-content-type-options',
      'nosniff',
    ],
    body: bytes,
  };
}

async function readJson(body: RequestBody | undefined): Promise<unknown> {
  const bytes = await body?.peek(ADMIN_BODY_BYTES);
  if (body !== undefined && bytes === undefined)
    throw new GatewayError('body_too_large', `a body of more than ${ADMIN_BODY_BYTES} bytes`);
  if (bytes === undefined || bytes.byteLength === 0) return undefined;
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    throw new GatewayError('bad_request', 'the body is not JSON');
  }
}
