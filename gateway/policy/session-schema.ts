import { duration, eventRate } from './measure-schema.ts';
import { pagePath } from './name-schema.ts';
import { cookieGlob, HEADER_NAME, negatableGlob, pathGlob, plainText } from './pattern-schema.ts';
import { requestMatchSchema } from './route-schema.ts';
import { valueSource } from './value-source.ts';
import { choice, flag, list, mapping, oneOrMany, packWording, section, wholeNumber } from './wording.ts';

/** What tells success from failure. */
export const successSchema = section({
  status: oneOrMany(wholeNumber(100, 599)).optional().describe('Status code or codes of the answer.'),
  location: oneOrMany(negatableGlob('a location'))
    .optional()
    .describe(
      'The Location header: path and query, or with scheme and host where the pattern has them. "!…" = anywhere else.',
    ),
  sets_cookie: oneOrMany(cookieGlob())
    .optional()
    .describe('Name of a cookie that the answer sets (not deletes).'),
  header: mapping(HEADER_NAME, oneOrMany(negatableGlob('a value')))
    .optional()
    .describe('Headers of the answer by name; "!…" = no such value.'),
  body_has: oneOrMany(plainText('text of a page'))
    .optional()
    .describe('Text in the first 64 KiB of the body; of a list, all of them.'),
  body_lacks: oneOrMany(plainText('text of a page'))
    .optional()
    .describe('Text that is not in the first 64 KiB of the body; of a list, none of them.'),
})
  .refine((success) => Object.values(success).some((condition) => condition !== undefined), {
    error: packWording({ says: 'needs at least one condition', allowed: 'status: [302, 303], for example' }),
  })
  .meta({ minProperties: 1 })
  .describe('What tells success from failure: all conditions must hold.');

const beginSchema = section({
  match: requestMatchSchema,
  subject: valueSource(['form', 'query', 'json', 'header']).describe(
    "Where the person's name is: form.X, query.X, json.a.b of the request, header.X of the answer.",
  ),
  success: successSchema.describe(
    'What tells a sign-in from a failed one. Too wide a rule signs people in whom the CRM has refused.',
  ),
});

const credentialChangeSchema = section({
  match: requestMatchSchema,
  when: section({
    form: list(plainText('a name of a field'), 1)
      .optional()
      .describe('Form fields that are present and not empty.'),
    json: list(plainText('a path of a value'), 1)
      .optional()
      .describe('JSON values that are present and not empty.'),
  })
    .optional()
    .describe('Fields that make it a change: an empty password field often means "unchanged".'),
  success: successSchema
    .prefault({ status: [200, 204, 302, 303] })
    .describe('What tells a change from a failed one. Default status 200, 204, 302 or 303.'),
  subject: valueSource(['form', 'query', 'json'], ['session'])
    .prefault('session')
    .describe('Whose credentials changed: session = the person of the session. Default session.'),
});

export const sessionsSchema = section({
  rotate_every: duration('100ms', '1d')
    .prefault('60s')
    .describe('How often the session id changes. Default 60s. A stolen id is worth this long at most.'),
  grace: duration('0s', '12h')
    .optional()
    .describe(
      'How long an id is still taken after its successor was used: requests under way. At most half of ' +
        'rotate_every. Default 20s, or a third of rotate_every if that is less. Too short signs out people on slow lines.',
    ),
  idle: duration('1s', '90d')
    .prefault('30m')
    .describe('A session without activity ends after this. Default 30m.'),
  lifetime: duration('1s', '90d').prefault('12h').describe('Every session ends after this. Default 12h.'),
  per_subject: wholeNumber(1, 10_000)
    .prefault(10)
    .describe('Sessions of one person at once; the longest unused ends first. Default 10.'),
  crash_grace: flag(
    'Take an id once more when a crashed browser comes back with the one before its last. Convenient for people and thieves.',
  ),
  bind: list(choice(['user_agent', 'network']))
    .prefault(['user_agent'])
    .describe(
      'What must stay the same; a change ends the session. network signs out people who walk about. Default [user_agent].',
    ),
  device: choice(['off', 'prefer', 'require'])
    .prefault('prefer')
    .describe('Device Bound Session Credentials: prefer = where the browser can. Default prefer.'),
  device_cookie: duration('1s', '1d')
    .prefault('10m')
    .describe('Life of the device-bound cookie. Default 10m; browsers need at least 5m.'),
  login_page: pagePath()
    .prefault('/login')
    .describe(
      'Where strangers are sent. Default /login. Its route must be public, or they go round in circles.',
    ),
  allow_cross_site: list(pathGlob())
    .prefault([])
    .describe(
      'Paths that take unsafe requests which another site started: the answer of a single sign-on. Default none.',
    ),
  anonymous: section({
    lifetime: duration('1s', '1d').prefault('30m').describe('Life of a session before sign-in. Default 30m.'),
    per_client: eventRate()
      .prefault('50/1m')
      .describe(
        'New ones of one client network in a time. Default 50/1m; an office behind one address is one client.',
      ),
  })
    .prefault({})
    .describe("Sessions before sign-in: the login form's CSRF token lives there."),
  vault: list(cookieGlob())
    .prefault(['*'])
    .describe(
      "The CRM's cookies that stay on the server. Default all. Leave out only names that the CRM's scripts read; " +
        "never its session's.",
    ),
  strip: list(cookieGlob())
    .prefault([])
    .describe(
      'Browser cookies that never reach the CRM: those by which it lets one person act as another. Default none.',
    ),
  passive: list(pathGlob())
    .prefault([])
    .describe(
      'Requests that are no sign of a person at work (polls). Without them an open tab never goes idle. Default none.',
    ),
  upstream_lost: choice(['end', 'keep'])
    .prefault('end')
    .describe(
      'When the CRM replaces a cookie that it was sent: end the session, or keep it (some do so all the time). Default end.',
    ),
  begin: list(beginSchema).prefault([]).describe("How an unmodified CRM's sign-in is recognised."),
  end: list(section({ match: requestMatchSchema }))
    .prefault([])
    .describe('How sign-out is recognised.'),
  credential_change: list(credentialChangeSchema)
    .prefault([])
    .describe('How a change of password or login is recognised. It ends all sessions of the person.'),
}).describe('Sessions whose id keeps changing.');
