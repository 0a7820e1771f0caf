import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { dirname, join } from 'node:path';
import { rootCertificates } from 'node:tls';

/** Who comes to the admin listener, and where it is. */
export interface AdminAccess {
  readonly url: string;
  /** PEM of the person's certificate. */
  readonly certPem: string;
  readonly keyPem: string;
  readonly privateKey: KeyObject;
  /** What the server's certificate may be signed by. */
  readonly authorities: readonly string[];
}

/** An answer of the admin listener. */
interface AdminReply {
  readonly status: number;
  readonly value: unknown;
}

/**
 * Reads a person's files.
 *
 * @param files `ca` is a file of authorities for the server's certificate; those of the system count in any case, and
 *   so does the gateway's own local authority where this machine has it.
 * @throws Error with a sentence when a file cannot be read or the two do not belong together.
 */
export function readAdminAccess(files: {
  readonly url: string;
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  readonly data: string;
}): AdminAccess {
  const [certPem, keyPem] = [readFileSync(files.cert, 'utf8'), readFileSync(files.key, 'utf8')];
  const privateKey = createPrivateKey(keyPem);
  if (!new X509Certificate(certPem).checkPrivateKey(privateKey))
    throw new Error(`${files.key} is not the key of ${files.cert}`);
  const local = [join(files.data, 'tls', 'ca.pem'), join(dirname(files.cert), 'ca.pem')];
  const found = files.ca === undefined ? local.filter((file) => existsSync(file)) : [files.ca];
  const authorities = [...rootCertificates, ...found.map((file) => readFileSync(file, 'utf8'))];
  return { url: files.url, certPem, keyPem, privateKey, authorities };
}

/**
 * Calls the administrators' API with the person's client certificate.
 *
 * @throws Error with a sentence when it cannot be reached or refuses.
 */
export async function callAdmin(
  access: AdminAccess,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const { status, value } = await send(access, method, path, body);
  if (status < 300) return value;
  const { error, title } = value as { error?: string; title?: string };
  throw new Error(error ?? title ?? `refused with ${status}`);
}

function send(access: AdminAccess, method: string, path: string, body: unknown): Promise<AdminReply> {
  const { url, certPem, keyPem, authorities } = access;
  return new Promise((resolve, reject) => {
    const call = request(
      new URL(path, url),
      {
        method,
        cert: certPem,
        key: keyPem,
        ca: [...authorities],
        timeout: 30_000,
        headers: { accept: 'application/json', 'content-type': 'application/json' },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const value = parseJson(Buffer.concat(chunks).toString());
          if (value === undefined) reject(new Error(`${url} answered something that is not JSON`));
          else resolve({ status: response.statusCode ?? 0, value });
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`${url} did not answer within 30 s`)));
    call.on('error', (error: Error & { code?: string }) => reject(explainAdmin(error, url)));
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Puts a failure of the connection into words for the person. */
export function explainAdmin(error: Error & { code?: string }, url: string): Error {
  if (error.code === 'ECONNREFUSED') return new Error(`no admin listener answers at ${url}`);
  const isUntrusted = /SELF_SIGNED|UNABLE_TO|CERT_UNTRUSTED|ALTNAME/.test(error.code ?? '');
  return isUntrusted
    ? new Error(
        `the certificate of ${url} is not trusted (${error.message}); name its authority with --ca FILE`,
      )
    : error;
}
