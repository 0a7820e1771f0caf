import { type z } from 'zod';

import { corsSchema, headersSchema } from './answer-schema.ts';
import { auditSchema, backupSchema } from './backup-schema.ts';
import {
  listenSchema,
  logSchema,
  protectionSchema,
  secretsSchema,
  storeSchema,
  tlsSchema,
  trustedProxiesSchema,
  workersSchema,
} from './listener-schema.ts';
import { adminAccessSchema, adminsSchema, apiKeysSchema, limitsSchema } from './principal-schema.ts';
import { accountsSchema, regionsSchema, routingSchema } from './region-schema.ts';
import { routesSchema } from './route-schema.ts';
import { sessionsSchema } from './session-schema.ts';
import { section } from './wording.ts';

/**
 * Every key of the policy files, each with its meaning, unit, default and the danger of a wrong value. The sections
 * stand in files of their own beside this one; `policies/policy.schema.json` is made from it for editors.
 */
export const policySchema = section({
  listen: listenSchema,
  trusted_proxies: trustedProxiesSchema,
  workers: workersSchema,
  store: storeSchema,
  secrets: secretsSchema,
  tls: tlsSchema,
  accounts: accountsSchema,
  regions: regionsSchema,
  routing: routingSchema,
  routes: routesSchema,
  sessions: sessionsSchema,
  api_keys: apiKeysSchema,
  admins: adminsSchema,
  admin_access: adminAccessSchema,
  limits: limitsSchema,
  headers: headersSchema,
  cors: corsSchema,
  protection: protectionSchema,
  audit: auditSchema,
  backup: backupSchema,
  log: logSchema,
});

/** Policy files, validated, with defaults filled in and every text turned into a value. */
export type PolicySettings = z.output<typeof policySchema>;
