import { byteRate, duration, eventRate, keyAge } from './measure-schema.ts';
import { fingerprint, hostPort, PLAIN_NAME, secret, url, word } from './name-schema.ts';
import { headerName, network } from './pattern-schema.ts';
import { observeSchema } from './observe-schema.ts';
import { choice, list, mapping, oneOrMany, packWording, scalar, section, wholeNumber } from './wording.ts';

/** Where a client's API key stands. */
export type KeyPlace =
  | { readonly in: 'header' | 'query'; readonly name: string }
  | { readonly in: 'bearer' | 'basic' };

const keyPlace = scalar<KeyPlace>({
  not: 'not a place of a key',
  allowed: '"header:X-Api-Key", bearer, basic, "query:NAME"',
  read: (text) => {
    if (text === 'bearer' || text === 'basic') return { value: { in: text } };
    const header = /^header:([!#$%&'*+.^_`|~A-Za-z0-9-]{1,128})$/.exec(text)?.[1];
    if (header !== undefined) return { value: { in: 'header', name: header.toLowerCase() } };
    const query = /^query:([A-Za-z0-9_.-]{1,64})$/.exec(text)?.[1];
    return query === undefined ? undefined : { value: { in: 'query', name: query } };
  },
});

export const apiKeysSchema = section({
  in: list(keyPlace, 1)
    .prefault(['header:X-Api-Key', 'bearer'])
    .describe('Where clients send their key. Keys in a query end up in logs and histories: avoid it.'),
  prefix: word({
    not: 'not a prefix',
    allowed: 'two to eight lower-case letters and digits, beginning with a letter',
    pattern: /^[a-z][a-z0-9]{1,7}$/,
  })
    .prefault('zsv')
    .describe('First letters of every key, by which scanners find leaked ones. Default zsv.'),
  max_age: keyAge().prefault('6mo').describe('Age at which a key rotates. Default and most 6mo.'),
  overlap: duration('0s', '30d')
    .prefault('0s')
    .describe(
      'How long the old key lives after a rotation by age. Default 0s; a stolen old key lives as long.',
    ),
  warn_before: list(duration('1h', '184d'))
    .prefault(['30d', '14d', '7d', '1d'])
    .describe('When warnings go out before a key expires. Default 30d, 14d, 7d, 1d.'),
  rotate_on: list(choice(['age', 'credential_change']))
    .prefault(['age', 'credential_change'])
    .describe('What makes a key rotate. Default both.'),
  upstream: section({
    header: headerName().describe('Header in which the CRM expects its own credential.'),
    observe: list(observeSchema)
      .prefault([])
      .describe(
        'Where the CRM itself hands its credential out: an API sign-in. It is taken out of the answer. Without it, the control API sets it.',
      ),
  })
    .optional()
    .describe("The CRM's own credential, kept sealed, that replaces the client's key."),
  imported: choice(['accept', 'refuse'])
    .prefault('refuse')
    .describe(
      'Whether keys made elsewhere may be taken over under their own text (zasov keys import). Default refuse; accept: their strength is what the other program made it.',
    ),
  own_keys: wholeNumber(0, 100)
    .prefault(0)
    .describe(
      'How many keys that work a person may have and still make one on /.zasov/account. Default 0: only operators make keys. A key outlives the session in which it was made.',
    ),
  webhook: section({
    url: url(['http:', 'https:'], 'https://crm.internal/hooks/keys').describe(
      'Where warnings and rotations are told.',
    ),
    secret: secret().describe('Where the key is that signs them.'),
  })
    .optional()
    .describe('Tells another program of warnings and rotations.'),
})
  .optional()
  .describe('API keys that expire.');

const TWO = packWording({ says: 'there are exactly two administrators', allowed: 'two entries' });

export const adminsSchema = list(
  section({
    name: word(PLAIN_NAME).describe('Name for the audit log.'),
    certificate: fingerprint().describe(
      "SHA-256 of the public key in the administrator's certificate (SubjectPublicKeyInfo): sha256:…, as " +
        '`zasov admins enrol` prints it. It stays the same when the certificate is renewed.',
    ),
  }),
)
  .length(2, { error: TWO })
  .optional()
  .describe('The two people who may reach admin routes, servers and the console: exactly two.');

export const adminAccessSchema = section({
  networks: list(network())
    .prefault([])
    .describe('Networks that administrators may come from. Default anywhere that reaches the listener.'),
  passkey: choice(['require', 'off'])
    .prefault('require')
    .describe(
      'Whether a passkey is wanted beside the certificate. Default require. off: a copied key file is enough.',
    ),
  approval_expires: duration('1m', '24h')
    .prefault('1h')
    .describe('How long a request waits for the other administrator. Default 1h.'),
  servers: list(hostPort())
    .prefault([])
    .describe('Servers that administrators may CONNECT to. Default none.'),
})
  .prefault({})
  .describe('How administrators come in.');

export const limitsSchema = mapping(
  PLAIN_NAME,
  section({
    per: oneOrMany(choice(['client', 'session', 'subject', 'account', 'api_key'])).describe(
      'Whose requests are counted together; of a list, each for itself. client = a network (/24, /64).',
    ),
    requests: eventRate().optional().describe('Requests in a time: 60/1m.'),
    response_bytes: byteRate()
      .optional()
      .describe(
        'Bytes of answers in a time: 500MiB/1h. What stops somebody from taking the customer base along.',
      ),
    parallel: wholeNumber(1, 100_000)
      .optional()
      .describe('Requests at once; three times as many more wait up to 5s for their turn.'),
    failures: eventRate()
      .optional()
      .describe(
        'Failed sign-ins in a time: 10/15m. By client, subject or account; holds for every request that sessions.begin recognises, whatever its route.',
      ),
    block: duration('1s', '30d')
      .optional()
      .describe(
        'How long failures close the door: twice as long each further time, up to 24h. Default the time of failures.',
      ),
  })
    .refine(
      ({ requests, response_bytes, parallel, failures }) =>
        [requests, response_bytes, parallel, failures].some((bound) => bound !== undefined),
      {
        error: packWording({
          says: 'limits nothing',
          allowed: 'at least one of requests, response_bytes, parallel, failures',
        }),
      },
    )
    .refine(
      ({ per, failures }) => failures === undefined || per.some((by) => by !== 'session' && by !== 'api_key'),
      {
        error: packWording({
          says: 'nobody has a session or key before signing in, so failures need another per',
          allowed: 'client, subject, account',
        }),
      },
    ),
)
  .prefault({})
  .describe('Limits by name; routes refer to them.');
