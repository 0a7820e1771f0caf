import { compileAnswerRule } from './compile-answer-rule.ts';
import { compileRequestRule } from './compile-request-rule.ts';
import type { KeyAge } from './measure-schema.ts';
import type { PolicySettings } from './policy-schema.ts';
import type { ApiKeyPolicy, ObserveRule } from './policy.ts';
import { apiKeysSchema } from './principal-schema.ts';

type UpstreamSettings = NonNullable<PolicySettings['api_keys']>['upstream'];

/**
 * Compiles the `api_keys` section. Without one, and without a route that takes keys, no place of a request is taken
 * for a key's, while keys that exist still age and follow their owner's password.
 */
export function compileApiKeys({ api_keys: given, routes }: PolicySettings): ApiKeyPolicy {
  const keys = given ?? defaults();
  const areTaken = routes.some(({ access }) => access === 'api_key' || access === 'session_or_key');
  const places = given !== undefined || areTaken ? keys.in : [];
  const headers = new Set<string>();
  const queryNames = new Set<string>();
  for (const place of places) {
    if (place.in === 'query') queryNames.add(place.name);
    else if (place.in === 'header') headers.add(place.name);
  }
  const bearer = places.some((place) => place.in === 'bearer');
  const basic = places.some((place) => place.in === 'basic');
  const upstreamHeader = keys.upstream?.header;
  return {
    places: { headers, queryNames, bearer, basic },
    heldHeaders: heldHeaders(headers, bearer || basic, upstreamHeader),
    upstreamHeader,
    observe: compileObserve(keys.upstream),
    ownKeys: keys.own_keys,
    settings: {
      prefix: keys.prefix,
      maxAge: keys.max_age satisfies KeyAge,
      overlapMs: keys.overlap,
      warnBeforeMs: keys.warn_before.toSorted((a, b) => b - a),
      rotateOn: {
        age: keys.rotate_on.includes('age'),
        credentialChange: keys.rotate_on.includes('credential_change'),
      },
      acceptsImported: keys.imported === 'accept',
      hasWebhook: keys.webhook !== undefined,
    },
    webhook: keys.webhook,
  };
}

function compileObserve(upstream: UpstreamSettings): readonly ObserveRule[] {
  const rules = upstream?.observe ?? [];
  return rules.map(({ match, subject, success, credential, client_gets: clientGets, keys }) => ({
    matches: compileRequestRule(match, 'restricts'),
    subject,
    success: compileAnswerRule(success),
    credential,
    clientGets,
    keys,
  }));
}

/** CGI-like upstreams read `X_Crm_Key` as `X-Crm-Key`, so names are kept as such a reader spells them. */
function heldHeaders(
  headers: ReadonlySet<string>,
  usesAuthorization: boolean,
  upstreamHeader: string | undefined,
): ReadonlySet<string> {
  const names = [...headers, ...(usesAuthorization ? ['authorization'] : [])];
  if (upstreamHeader !== undefined) names.push(upstreamHeader);
  return new Set(names.map((name) => name.replaceAll(/[^a-z0-9]/g, '-')));
}

function defaults() {
  const keys = apiKeysSchema.parse({});
  if (keys === undefined) throw new Error('a section of an empty object is no section');
  return keys;
}
