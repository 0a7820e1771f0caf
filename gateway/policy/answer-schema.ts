import { z } from 'zod';

import { duration } from './measure-schema.ts';
import { word } from './name-schema.ts';
import { headerName } from './pattern-schema.ts';
import { choice, flag, list, packWording, section } from './wording.ts';

/** Values of `Referrer-Policy`, the strictest first. */
export const REFERRER_POLICIES = [
  'no-referrer',
  'same-origin',
  'strict-origin',
  'strict-origin-when-cross-origin',
  'origin',
  'origin-when-cross-origin',
  'no-referrer-when-downgrade',
  'unsafe-url',
] as const;

/** Values of `Cross-Origin-Opener-Policy`, the strictest first. */
export const OPENER_POLICIES = [
  'same-origin',
  'noopener-allow-popups',
  'same-origin-allow-popups',
  'unsafe-none',
] as const;

/** What hardly a page of a CRM needs, and what a telephone in it does. */
const DEFAULT_PERMISSIONS =
  'camera=(), geolocation=(), microphone=(self), payment=(), usb=(), serial=(), hid=(), midi=(), display-capture=()';

const FIELD_TEXT = {
  not: 'not a value of a header',
  allowed: 'visible ASCII and spaces, or off',
  pattern: /^[\x20-\x7e]{1,4000}$/,
};

const yesOrNo = () =>
  z.boolean({ error: packWording({ says: 'neither true nor false:', allowed: 'true, false' }) });

const fields = {
  nosniff: () => yesOrNo().describe('X-Content-Type-Options: nosniff, on every answer. Default true.'),
  referrer_policy: () =>
    choice([...REFERRER_POLICIES, 'off']).describe(
      'Referrer-Policy of pages. Default same-origin: no other site learns an address of the CRM.',
    ),
  opener_policy: () =>
    choice([...OPENER_POLICIES, 'off']).describe(
      'Cross-Origin-Opener-Policy of pages. Default same-origin; same-origin-allow-popups where sign-in happens in a window of another site.',
    ),
  permissions_policy: () =>
    word(FIELD_TEXT).describe(
      `Permissions-Policy of pages. Default ${DEFAULT_PERMISSIONS}. off = as the CRM says.`,
    ),
  content_security_policy: () =>
    word(FIELD_TEXT).describe(
      "Content-Security-Policy of pages, beside the CRM's own: both hold. Default none; a wrong one breaks pages, so try it with the CRM.",
    ),
};

/** Security headers of one route, where they differ from those of all. */
export const routeHeadersSchema = section({
  nosniff: fields.nosniff().optional(),
  referrer_policy: fields.referrer_policy().optional(),
  opener_policy: fields.opener_policy().optional(),
  permissions_policy: fields.permissions_policy().optional(),
  content_security_policy: fields.content_security_policy().optional(),
})
  .optional()
  .describe('Security headers that differ here from those of `headers`.');

export const headersSchema = section({
  hsts: duration('0s', '730d')
    .prefault('365d')
    .describe(
      'How long browsers remember to come by https only. Default 365d; 0s = not at all. Never sent with a self-signed certificate.',
    ),
  hsts_subdomains: yesOrNo()
    .prefault(true)
    .describe('Whether that holds for all hosts below, too. Default true.'),
  nosniff: fields.nosniff().prefault(true),
  referrer_policy: fields.referrer_policy().prefault('same-origin'),
  opener_policy: fields.opener_policy().prefault('same-origin'),
  permissions_policy: fields.permissions_policy().prefault(DEFAULT_PERMISSIONS),
  content_security_policy: fields.content_security_policy().optional(),
})
  .prefault({})
  .describe("Security headers of all answers. Where the CRM's own are stricter, they stay.");

const siteOrigin = () =>
  word({
    not: 'not an origin',
    allowed: 'https://shop.example, https://shop.example:8443, or "*" alone',
    pattern: /^(?:\*|https?:\/\/[a-z0-9.-]{1,253}(?::\d{1,5})?|https?:\/\/\[[0-9a-f:]{2,39}\](?::\d{1,5})?)$/,
  });

/** Which other sites' scripts may read answers, and send requests that change something. */
export const corsSchema = section({
  origins: list(siteOrigin(), 1).describe(
    'Origins whose scripts may read answers. "*" = any, without credentials.',
  ),
  credentials: flag('Whether their requests may carry the session of a person.'),
  headers: list(headerName())
    .prefault(['content-type', 'authorization', 'x-api-key'])
    .describe('Request headers that they may set. Default content-type, authorization, x-api-key.'),
  expose: list(headerName())
    .prefault([])
    .describe('Headers of answers that they may read. Default none more.'),
  max_age: duration('0s', '24h')
    .prefault('10m')
    .describe('How long browsers remember what is allowed. Default 10m.'),
})
  .refine(({ origins, credentials }) => !credentials || !origins.includes('*'), {
    error: packWording({
      says: 'any site could act as whoever is signed in',
      allowed: 'origins by name, or credentials: false',
    }),
  })
  .optional()
  .describe(
    'Other origins whose scripts may read answers (CORS). Default none: what the CRM says of it is taken off.',
  );
