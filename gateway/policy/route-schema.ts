import { z } from 'zod';

import { corsSchema, routeHeadersSchema } from './answer-schema.ts';
import { byteSize } from './measure-schema.ts';
import { PLAIN_NAME, word } from './name-schema.ts';
import { HEADER_NAME, hostGlob, methodName, network, pathGlob, textGlob } from './pattern-schema.ts';
import { choice, flag, list, mapping, oneOrMany, packWording, section } from './wording.ts';

const FIELD_NAME = {
  not: 'not a name of a field',
  allowed: 'any text without control characters',
  pattern: /^\P{Cc}{1,256}$/u,
};

const headShape = {
  path: oneOrMany(pathGlob())
    .optional()
    .describe(
      'Path or paths: * within one segment, /** at the end for everything below. Letter case counts.',
    ),
  host: oneOrMany(hostGlob()).optional().describe('Host name or names; * stands for anything.'),
  method: oneOrMany(methodName())
    .optional()
    .describe('Method or methods, in capitals. GET does not include HEAD.'),
  query: mapping(FIELD_NAME, oneOrMany(textGlob('a value')))
    .optional()
    .describe('Query parameters by name; "*" = present. All named ones must match.'),
  header: mapping(HEADER_NAME, oneOrMany(textGlob('a value')))
    .optional()
    .describe(
      'Request headers by name; "*" = present. Any client can write any header: no proof of anything.',
    ),
  network: oneOrMany(network()).optional().describe("The client's address lies in one of these networks."),
};

const NO_CONDITION = packWording({
  says: 'needs at least one condition',
  allowed: 'path: "/**" for everything',
});

function hasCondition(match: Readonly<Record<string, unknown>>): boolean {
  return Object.values(match).some((condition) => condition !== undefined);
}

/** What a request's head must be. All conditions must hold; of a list, one entry. */
const routeMatchSchema = section(headShape)
  .refine(hasCondition, { error: NO_CONDITION })
  .meta({ minProperties: 1 })
  .describe('Which requests: all conditions must hold; of a list, one entry.');

/** What a sign-in, sign-out or password change is: its head, and fields of its small body. */
export const requestMatchSchema = section({
  ...headShape,
  form: mapping(FIELD_NAME, oneOrMany(textGlob('a value')))
    .optional()
    .describe('Form fields by name, urlencoded or multipart; "*" = present.'),
  json: mapping(FIELD_NAME, oneOrMany(textGlob('a value')))
    .optional()
    .describe('JSON values by their path with dots: user.action; "*" = present.'),
})
  .refine(hasCondition, { error: NO_CONDITION })
  .meta({ minProperties: 1 })
  .describe('Which requests: all conditions must hold; of a list, one entry.');

export const routeSchema = section({
  name: word(PLAIN_NAME).describe('Name for metrics, logs and explain.'),
  match: routeMatchSchema,
  access: choice(['public', 'session', 'api_key', 'session_or_key', 'admin', 'deny']).describe(
    'Who may pass. public lets everybody through to the CRM; admin exists on the admin listener only.',
  ),
  limit: word(PLAIN_NAME).optional().describe('Name of one of the limits.'),
  headers: routeHeadersSchema,
  cors: corsSchema,
  on_unauthenticated: z
    .literal(['login', '401', 401], {
      error: packWording({ says: 'not a possible value:', among: ['login', '401'], allowed: 'login, 401' }),
    })
    .transform((value): 'login' | '401' => (value === 'login' ? 'login' : '401'))
    .prefault('login')
    .describe(
      'What strangers get: login = 302 to sessions.login_page for page loads and 401 otherwise. Default login.',
    ),
  writes: flag('Requests change data whatever their method is, so they go to a primary only.'),
  body_bytes: byteSize('1B', '1TiB')
    .optional()
    .describe('Largest request body here. Default protection.body_bytes.'),
});

export const routesSchema = list(routeSchema, 1).describe(
  'Rules in order: the first that matches decides, and a request that none matches is refused with 403.',
);
