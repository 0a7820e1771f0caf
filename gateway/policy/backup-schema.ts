import { MOST_RECIPIENTS } from '../config/backup-place.ts';
import { duration } from './measure-schema.ts';
import { ageRecipient, filePath, PLAIN_NAME, secret, url, word } from './name-schema.ts';
import { plainText } from './pattern-schema.ts';
import { alternatives, list, packWording, section, wholeNumber } from './wording.ts';

export const auditSchema = section({
  dir: filePath('a directory')
    .optional()
    .describe(
      'Where the audit log is written. Default DATA/audit. Its loss is noticed, not undone: back it up.',
    ),
})
  .prefault({})
  .describe('The tamper-evident record of who did what.');

const argument = (meaning: string) => list(plainText('a word of a command'), 1).describe(meaning);

export const backupSchema = section({
  every: duration('1m', '7d').prefault('24h').describe('How often. Default 24h.'),
  at: word({
    not: 'not a time of day',
    allowed: 'hours and minutes in quotes: "03:00"',
    pattern: /^(?:[01]\d|2[0-3]):[0-5]\d$/,
  })
    .optional()
    .describe(
      'Time of day (UTC) that they are counted from: with every: 12h, at "03:00" means 03:00 and 15:00. Default as soon as one is due.',
    ),
  recipients: list(ageRecipient(), 1)
    .max(MOST_RECIPIENTS, {
      error: packWording({ says: `has more than ${MOST_RECIPIENTS} entries` }),
    })
    .describe(
      'age public keys that backups are encrypted to, 64 at most. Keep the private keys elsewhere: without one no backup opens.',
    ),
  to: alternatives(
    {
      dir: filePath('a directory').optional().describe('A directory on external storage.'),
      s3: section({
        endpoint: url(['http:', 'https:'], 'https://s3.example').describe('URL of the S3 service.'),
        bucket: word({
          not: 'not a bucket name',
          allowed: '3 to 63 lower-case letters, digits, dots and -',
          pattern: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
        }).describe('Bucket.'),
        region: word({
          not: 'not a region name',
          allowed: 'letters, digits and -',
          pattern: /^[A-Za-z0-9-]{1,64}$/,
        })
          .prefault('us-east-1')
          .describe('Region of the service. Default us-east-1.'),
        prefix: word({
          not: 'not a prefix',
          allowed: 'letters, digits, dots, slashes, - and _, not beginning with a slash',
          pattern: /^(?!\/)[\w./-]{0,256}$/,
        })
          .prefault('')
          .describe('What the names of archives begin with. Default nothing.'),
        object_lock: duration('1d', '365d')
          .optional()
          .describe('How long nobody can delete an archive, a thief with the credentials neither.'),
        access_key: secret()
          .prefault('env:AWS_ACCESS_KEY_ID')
          .describe('Where the id of the access key is. Default env:AWS_ACCESS_KEY_ID.'),
        secret_key: secret()
          .prefault('env:AWS_SECRET_ACCESS_KEY')
          .describe('Where the secret of the access key is. Default env:AWS_SECRET_ACCESS_KEY.'),
      })
        .optional()
        .describe('An S3 bucket, or one of a service that speaks the same protocol.'),
    },
    [['dir'], ['s3']],
  ).describe('Where backups go: away from this machine.'),
  keep: wholeNumber(1, 10_000)
    .prefault(30)
    .describe('How many archives are kept. The last good one always is. Default 30.'),
  keep_for: duration('1d', '3650d')
    .optional()
    .describe('How long an archive is kept whatever `keep` says. Default not longer than `keep` says.'),
  drill_every: duration('1h', '365d')
    .prefault('7d')
    .describe('How often a backup is proved by restoring it. Default 7d.'),
  include: list(
    alternatives(
      {
        name: word(PLAIN_NAME).describe('Name inside the archive.'),
        dump: argument(
          'Command and its arguments that writes the data to standard output; no shell.',
        ).optional(),
        http: url(['http:', 'https:'], 'https://crm.internal/export')
          .optional()
          .describe('URL whose answer (200) is the data, in place of a command.'),
        token: secret()
          .optional()
          .describe('Where the bearer token for `http` is. Default the request carries none.'),
        restore: argument('Command and its arguments that reads it from standard input; no shell.'),
        timeout: duration('1s', '7d')
          .prefault('6h')
          .describe(
            'How long all of a dump or of a restore may take, 20 GB over a slow line included; the whole backup fails then. Default 6h.',
          ),
        idle: duration('1s', '1d')
          .prefault('30m')
          .describe(
            'How long a dump may write nothing while the backup waits for it, behind a lock say; then it fails. A restore may build an index for longer: only `timeout` ends it. Default 30m.',
          ),
      },
      [['dump'], ['http']],
    ),
  )
    .prefault([])
    .describe('What else goes into a backup: a database dump, say.'),
})
  .optional()
  .describe('Encrypted copies on external storage. Off unless given.');
