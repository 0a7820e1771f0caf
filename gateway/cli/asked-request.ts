import type { Asker, OfflineRequest } from './offline-decision.ts';
import { UsageError } from './usage-error.ts';

/**
 * Reads a request as people write it: a method, a URL or path, headers as `Name: value`.
 *
 * @throws UsageError with a sentence for the operator.
 */
export function readRequest(
  [method, url, ...rest]: readonly string[],
  headers: readonly string[],
  client: string,
): OfflineRequest {
  if (method === undefined || url === undefined || rest.length > 0)
    throw new UsageError('a request is a method and a URL: GET https://acme.crm.localhost/leads');
  if (!/^[A-Z][A-Z-]*$/.test(method)) throw new UsageError(`"${method}" is not a method; write GET, POST, …`);
  // Not through URL, which would tidy up just those paths that the gateway refuses.
  const parts = /^(?:https?:\/\/([^/?#]+))?(\/[^#]*|\?[^#]*)?(?:#.*)?$/.exec(url);
  if (parts === null || (parts[1] === undefined && parts[2] === undefined))
    throw new UsageError(`"${url}" is neither a URL nor a path`);
  const target = parts[2] ?? '/';
  return {
    method,
    authority: parts[1],
    target: target.startsWith('/') ? target : `/${target}`,
    headers: new Map(headers.map(readHeader)),
    client,
  };
}

function readHeader(text: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon < 1) throw new UsageError(`"${text}" is not a header; write --header 'Name: value'`);
  return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()];
}

/**
 * Reads on whose behalf a request is asked: `session:SUBJECT@ACCOUNT`, `key:ID` or `admin:NAME`.
 *
 * @throws UsageError with a sentence for the operator.
 */
export function readAsker(text: string): Asker {
  const colon = text.indexOf(':');
  const [kind, name] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  const at = name.lastIndexOf('@');
  if (kind === 'session' && at > 0 && at < name.length - 1)
    return { kind, subject: name.slice(0, at), account: name.slice(at + 1) };
  if (kind === 'key' && name !== '') return { kind, name };
  if (kind === 'admin' && name !== '') return { kind, name };
  throw new UsageError(`"${text}" is nobody; write session:SUBJECT@ACCOUNT, key:ID or admin:NAME`);
}
