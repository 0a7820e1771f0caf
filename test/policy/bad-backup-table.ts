import { GOOD } from './bad-policy-table.ts';

/** Mistakes in `backup`, each with what is said of it. */
export const BAD_BACKUPS: readonly [policy: string, ...says: string[]][] = [
  [
    `${GOOD}backup: { recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8q], to: { dir: /b } }\n`,
    '4:24: backup.recipients[0]: not an age recipient. Allowed: a public key as age-keygen prints it: age1… or age1pq1…, with its checksum',
  ],
  [
    `${GOOD}backup: { recipients: [age1pq1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p], at: "3:00", to: { dir: /b, s3: { endpoint: "https://h", bucket: abc } }, include: [{ name: db, dump: [a], http: "https://h/x", restore: [b] }, { name: db, http: "https://h/x", token: x, restore: [b] }] }\n`,
    '4:24: backup.recipients[0]: not an age recipient. Allowed: a public key as age-keygen prints it: age1… or age1pq1…, with its checksum',
    '4:96: backup.at: not a time of day: "3:00". Allowed: hours and minutes in quotes: "03:00"',
    '4:108: backup.to: needs exactly one of: dir, s3',
    '4:119: backup.to.s3.access_key: the secret is not there: environment variable AWS_ACCESS_KEY_ID is not set',
    '4:119: backup.to.s3.secret_key: the secret is not there: environment variable AWS_SECRET_ACCESS_KEY is not set',
    '4:175: backup.include[0]: needs exactly one of: dump, http',
    '4:243: backup.include[1].name: this name was used before, in p.yaml:4: "db"',
    '4:275: backup.include[1].token: not a reference to a secret (the secret itself never stands in a policy). Allowed: "file:PATH", "env:NAME" or "credential:NAME" (systemd)',
  ],
  [
    `${GOOD}backup: { recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p], to: { s3: { endpoint: "https://h", bucket: abc, access_key: "env:OWN" } } }\n`,
    '4:95: backup.to.s3.secret_key: the secret is not there: environment variable AWS_SECRET_ACCESS_KEY is not set',
    '4:149: backup.to.s3.access_key: the secret is not there: environment variable OWN is not set',
  ],
];
