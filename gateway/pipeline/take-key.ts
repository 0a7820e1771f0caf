import { GatewayError } from '../core/gateway-error.ts';
import { valuesOf } from '../policy/parameter-name.ts';
import type { ApiKeyPolicy } from '../policy/policy.ts';
import type { RequestContext } from './request-context.ts';

const BEARER = /^bearer +(\S+) *$/i;
const BASIC = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i;

/**
 * Takes the client's API key out of the request, from wherever the policy says that one may stand. On a route that
 * takes keys nothing of those places is forwarded; on others they are the CRM's own affair, and only what is
 * unmistakably a key of ours is kept from it. A key of a query is gone from the target, from what is logged and from
 * `Referer` afterwards (RFC 6750 section 5.3: URLs are remembered everywhere).
 *
 * @param isWanted whether the route takes keys.
 * @throws GatewayError `bad_request` when two places hold different keys: every reader would choose for itself.
 */
export function takeKey(context: RequestContext, isWanted: boolean): void {
  const { apiKeys } = context.snapshot.policy;
  if (context.head.held.length > 0) takeHeaders(context, apiKeys, isWanted);
  if (apiKeys.places.queryNames.size === 0) return;
  if (context.search !== '') takeQuery(context, apiKeys, isWanted);
  cleanReferrer(context, apiKeys);
}

function takeHeaders(context: RequestContext, keys: ApiKeyPolicy, isWanted: boolean): void {
  const { held, forward } = context.head;
  const upstreamHeader = spelled(keys.upstreamHeader ?? '');
  for (let i = 0; i < held.length; i += 2) {
    const name = held[i] ?? '';
    const value = held[i + 1] ?? '';
    if (isWanted) present(context, headerKey(keys, name, value));
    else if (spelled(name) !== upstreamHeader && !holdsOurs(keys, value)) forward.push(name, value);
  }
}

function headerKey({ places }: ApiKeyPolicy, name: string, value: string): string | undefined {
  if (places.headers.has(name)) return value.trim();
  if (name !== 'authorization') return undefined;
  const bearer = places.bearer ? BEARER.exec(value)?.[1] : undefined;
  return bearer ?? (places.basic ? basicKey(value) : undefined);
}

/** The password, or the name where the password is empty (RFC 7617 section 2), as `curl -u` sends either. */
function basicKey(value: string): string | undefined {
  const encoded = BASIC.exec(value)?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, 'base64').toString();
  const colon = pair.indexOf(':');
  if (colon === -1) return undefined;
  return colon === pair.length - 1 ? pair.slice(0, colon) : pair.slice(colon + 1);
}

function holdsOurs({ settings }: ApiKeyPolicy, value: string): boolean {
  const mark = `${settings.prefix}_`;
  return value.includes(mark) || basicKey(value)?.startsWith(mark) === true;
}

function takeQuery(context: RequestContext, keys: ApiKeyPolicy, isWanted: boolean): void {
  const mark = `${keys.settings.prefix}_`;
  const kept = keptParameters(context.search, (name, value) => {
    if (!isKeyName(keys, name)) return true;
    if (!isWanted) return !value.startsWith(mark);
    present(context, value);
    return false;
  });
  if (kept === undefined) return;
  context.hasQueryKey = true;
  context.replaceSearch(kept);
}

/** A page whose address held a key names that address in each of its requests. */
function cleanReferrer({ head }: RequestContext, keys: ApiKeyPolicy): void {
  const { forward } = head;
  for (let i = 0; i < forward.length; i += 2) {
    const value = forward[i + 1] ?? '';
    const question = forward[i] === 'referer' ? value.indexOf('?') : -1;
    if (question === -1) continue;
    const kept = keptParameters(value.slice(question + 1), (name) => !isKeyName(keys, name));
    if (kept !== undefined)
      forward[i + 1] = kept === '' ? value.slice(0, question) : `${value.slice(0, question)}?${kept}`;
  }
}

/** @returns the query without the parameters that are not kept, `undefined` when all of them are. */
function keptParameters(
  search: string,
  isKept: (name: string, value: string) => boolean,
): string | undefined {
  const parameters = search.split('&');
  const kept = parameters.filter((parameter) => {
    // Read as an upstream reads it: `%6bey` is `key`.
    const [pair] = new URLSearchParams(parameter);
    return pair === undefined || isKept(pair[0], pair[1]);
  });
  return kept.length === parameters.length ? undefined : kept.join('&');
}

/** In any spelling that an upstream takes for it. */
function isKeyName({ places }: ApiKeyPolicy, name: string): boolean {
  if (places.queryNames.has(name)) return true;
  for (const wanted of places.queryNames) if (valuesOf([[name, '']], wanted).length > 0) return true;
  return false;
}

function present(context: RequestContext, key: string | undefined): void {
  if (key === undefined || key === '') return;
  if (context.presentedKey !== undefined && context.presentedKey !== key)
    throw new GatewayError('bad_request', 'two different API keys came with one request');
  context.presentedKey = key;
}

function spelled(name: string): string {
  return name.replaceAll(/[^a-z0-9]/g, '-');
}
