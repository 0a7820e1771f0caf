import { duration } from './measure-schema.ts';
import {
  ACCOUNT_NAME,
  filePath,
  hostName,
  hostPort,
  origin,
  pagePath,
  regionId,
  secret,
  word,
} from './name-schema.ts';
import { headerName } from './pattern-schema.ts';
import { alternatives, choice, list, mapping, scalar, section, wholeNumber } from './wording.ts';

const hostTemplate = scalar<{ prefix: string; suffix: string }>({
  not: 'not a host with {account} in it',
  allowed: 'a host name with {account} once: "{account}.crm.example"',
  read: (text) => {
    const [prefix, suffix, ...rest] = text.toLowerCase().split('{account}');
    if (prefix === undefined || suffix === undefined || rest.length > 0) return undefined;
    if (prefix === '' && suffix === '') return { mistake: 'every host would be an account' };
    return /^[a-z0-9.-]*$/.test(prefix + suffix) ? { value: { prefix, suffix } } : undefined;
  },
});

export const accountsSchema = alternatives(
  {
    host: hostTemplate
      .optional()
      .describe('The account is a part of the host name: "{account}.crm.example". The safest of the three.'),
    header: headerName()
      .optional()
      .describe(
        'The account is in this request header. Any client can write it: only behind a proxy that sets it.',
      ),
    single: word(ACCOUNT_NAME).optional().describe('There is one account only, under this name.'),
  },
  [['host'], ['header'], ['single']],
)
  .prefault({ single: 'main' })
  .describe("How a request's account (tenant) is found. Default { single: main }.");

const healthSchema = section({
  path: pagePath()
    .prefault('/healthz')
    .describe('Path that is asked for. Default /healthz; 200 means healthy.'),
  every: duration('100ms', '10m').prefault('2s').describe('How often. Default 2s.'),
  timeout: duration('50ms', '1m').prefault('1s').describe('How long an answer may take. Default 1s.'),
  unhealthy_after: wholeNumber(1, 100)
    .prefault(2)
    .describe('Failures in a row that take a node out. Default 2.'),
  healthy_after: wholeNumber(1, 100)
    .prefault(2)
    .describe('Successes in a row that take it in again. Default 2.'),
})
  .prefault({})
  .describe("How a node's health is asked for.");

const nodeTlsSchema = section({
  ca: filePath('a file of authorities')
    .optional()
    .describe('PEM file of the authorities that may vouch for the nodes. Default the public ones.'),
  cert: filePath('a certificate file')
    .optional()
    .describe(
      'PEM file of the certificate that the gateway shows to the nodes (mutual TLS), then its chain.',
    ),
  key: filePath('a key file')
    .optional()
    .describe('PEM file with its private key; readable by this user alone.'),
  server_name: hostName()
    .optional()
    .describe("Name in the nodes' certificates. Default the host of each origin."),
})
  .optional()
  .describe(
    'TLS to nodes with https origins, where the ordinary is not enough: an own authority, mutual TLS.',
  );

const regionSchema = section({
  id: regionId().describe('Short name: it stands in metrics, logs and commands.'),
  nodes: list(origin(), 1).describe("Origins of this region's CRM nodes, without a path."),
  role: choice(['primary', 'replica', 'auto'])
    .prefault('auto')
    .describe(
      "Who takes writes: auto = as the node's health document says, and without any document the home region. " +
        'Default auto. Two regions called primary without replication between them drift apart.',
    ),
  health: healthSchema,
  tls: nodeTlsSchema,
  facility: section({ secret: secret().describe("Where the key is that signs the building's signals.") })
    .optional()
    .describe("The data centre's tamper, fire and power signals, which seal or drain the region."),
  servers: list(hostPort())
    .prefault([])
    .describe(
      'Those of admin_access.servers that stand in this region: a seal cuts tunnels to them. Default none; ' +
        'tunnels to servers that no region names are cut by every seal.',
    ),
});

export const regionsSchema = list(regionSchema, 1).describe('Where the CRM runs. At least one region.');

export const routingSchema = section({
  home: section({
    default: regionId()
      .optional()
      .describe('Home region of accounts that are not listed. Default the first region.'),
    accounts: mapping(ACCOUNT_NAME, regionId()).prefault({}).describe('Home region by account.'),
  })
    .prefault({})
    .describe("Which region holds an account's data."),
  failover: list(regionId(), 1)
    .optional()
    .describe('Regions in the order in which they are tried when a home is down. Default as in regions.'),
  reads: choice(['home', 'nearest'])
    .prefault('home')
    .describe('Where reads go: home, or nearest copy that is fresh enough (see max_lag). Default home.'),
  max_lag: duration('0s', '1h')
    .prefault('5s')
    .describe(
      'The oldest copy that may answer a read, by what the nodes say. Default 5s. A longer time shows people old data.',
    ),
  write_wait: duration('0s', '1m')
    .prefault('2s')
    .describe(
      'How long a change waits for a primary before it gets 503. Default 2s. A longer time holds connections.',
    ),
  retry: section({
    attempts: wholeNumber(1, 10)
      .prefault(2)
      .describe('Tries in all for a request that cannot have run yet. Default 2; 1 means no retry.'),
  })
    .prefault({})
    .describe('Retries; a request that may have run is never sent twice.'),
})
  .prefault({})
  .describe('Which region answers for which account.');
