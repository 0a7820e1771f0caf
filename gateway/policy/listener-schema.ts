import { z } from 'zod';

import { byteSize, duration } from './measure-schema.ts';
import { certificateHost, filePath, hostPort, listenAddress, secret, url, word } from './name-schema.ts';
import { network } from './pattern-schema.ts';
import { alternatives, choice, flag, list, packWording, section, wholeNumber } from './wording.ts';

function endpointShape(address: string, port: number) {
  return {
    address: listenAddress()
      .prefault(address)
      .describe(
        `Address to listen on. Default ${address}; 0.0.0.0 and :: mean every network of this machine.`,
      ),
    port: wholeNumber(0, 65_535).prefault(port).describe(`TCP port, 0 takes a free one. Default ${port}.`),
  };
}

function endpoint(address: string, port: number, meaning: string) {
  return section(endpointShape(address, port)).prefault({}).describe(meaning);
}

export const listenSchema = section({
  public: section({
    ...endpointShape('0.0.0.0', 8443),
    proxy_protocol: flag(
      'Every connection comes from one of trusted_proxies and begins with a PROXY header (version 1 or 2); others are refused. Changes with a restart.',
    ),
  })
    .prefault({})
    .describe('Where browsers and integrations come: TLS, HTTP/2 and HTTP/1.1.'),
  admin: endpoint(
    '127.0.0.1',
    8444,
    'Where the two administrators come, with client certificates. Keep it off the Internet.',
  ),
  ops: endpoint(
    '127.0.0.1',
    9464,
    'Plain HTTP: /metrics, /livez, /readyz. Whoever reaches it sees how much is going on; never make it public.',
  ),
  redirect: section({
    address: listenAddress().prefault('0.0.0.0').describe('Address to listen on. Default 0.0.0.0.'),
    port: wholeNumber(0, 65_535).prefault(8080).describe('TCP port. Default 8080.'),
  })
    .optional()
    .describe('Plain HTTP that only redirects to https and answers ACME challenges. Off unless given.'),
})
  .prefault({})
  .describe('Where the gateway listens.');

export const trustedProxiesSchema = list(network({ isTrusted: true }))
  .prefault([])
  .describe(
    'Networks of load balancers in front, whose Forwarded headers (or PROXY protocol) are believed. Default none. ' +
      'Anybody in these networks can claim any client address: name single machines.',
  );

export const workersSchema = z
  .union([choice(['auto']), wholeNumber(1, 256)], {
    error: packWording({ says: 'not a possible number:', allowed: 'auto, or whole numbers from 1 to 256' }),
  })
  .prefault(1)
  .describe(
    'Processes that share the port; auto = one per core. Default 1. Each takes some 100 MB of memory.',
  );

export const storeSchema = section({
  kind: choice(['embedded', 'redis'])
    .prefault('embedded')
    .describe(
      'embedded = a SQLite file of this machine; redis = shared by several gateways. Default embedded.',
    ),
  url: url(['redis:', 'rediss:'], 'redis://127.0.0.1:6379')
    .optional()
    .describe('One Redis server. Use rediss:// wherever the network is not this machine alone.'),
  sentinels: list(hostPort(), 1).optional().describe('Sentinels that know the primary; needs name.'),
  name: word({ not: 'not a name', allowed: 'letters, digits, dots, - and _', pattern: /^[\w.-]{1,64}$/ })
    .optional()
    .describe("Name of the sentinels' primary."),
  cluster: list(hostPort(), 1).optional().describe('Some nodes of a Redis cluster.'),
  username: word({ not: 'not a user name', allowed: 'visible letters', pattern: /^[\x21-\x7e]{1,128}$/ })
    .optional()
    .describe('User name at the Redis server.'),
  password: secret().optional().describe('Where the password for the Redis server is.'),
})
  .superRefine((store, context) => {
    const ways = [store.url, store.sentinels, store.cluster].filter((way) => way !== undefined).length;
    const isNamed = (store.name !== undefined) === (store.sentinels !== undefined);
    const says =
      store.kind === 'redis'
        ? ways === 1 && isNamed
          ? undefined
          : 'redis needs exactly one of: url, sentinels with name, cluster'
        : ways === 0 && isNamed
          ? undefined
          : 'the embedded store has no server; write kind: redis';
    if (says !== undefined) context.addIssue({ code: 'custom', message: packWording({ says }) });
  })
  .prefault({})
  .describe('Where sessions and keys are kept. The store holds only hashes and sealed values.');

export const secretsSchema = section({
  master_key: secret()
    .optional()
    .describe(
      'Where the master key is: everything sealed hangs on it. Default DATA/master.key, made on first start ' +
        'of the embedded store. Lost key = every session and sealed value lost; leaked key = the store readable.',
    ),
})
  .prefault({})
  .describe('Where secrets are. A policy never holds a secret itself.');

const certificateSchema = alternatives(
  {
    hosts: list(certificateHost(), 1).describe(
      'Host names that this certificate answers for; "*." in front for one label.',
    ),
    self_signed: z
      .literal(true, {
        error: packWording({ says: 'not a possible value:', allowed: 'true, or leave the key out' }),
      })
      .optional()
      .describe('Made by the local authority under DATA. For trying out: browsers warn until they trust it.'),
    cert: filePath('a certificate file').optional().describe('PEM file: the certificate, then its chain.'),
    key: filePath('a key file')
      .optional()
      .describe('PEM file with the private key; readable by this user alone.'),
    acme: section({
      directory: url(['https:'], 'https://acme-v02.api.letsencrypt.org/directory').describe(
        'Directory of the certificate authority.',
      ),
      email: word({
        not: 'not an e-mail address',
        allowed: 'name@host',
        pattern: /^[^\s@]{1,64}@[^\s@]{1,255}$/,
      }).describe('Where the authority writes to when something is wrong.'),
      agree_terms: z
        .literal(true, {
          error: packWording({ says: 'the terms of the authority must be agreed to:', allowed: 'true' }),
        })
        .describe("That you have read and agree to the authority's terms."),
    })
      .optional()
      .describe('Issued and renewed by an ACME authority.'),
  },
  [['self_signed'], ['cert', 'key'], ['acme']],
);

export const tlsSchema = section({
  profile: choice(['modern', 'intermediate'])
    .prefault('intermediate')
    .describe("Mozilla's profile: modern = TLS 1.3 only, intermediate = 1.2 as well. Default intermediate."),
  certificates: list(certificateSchema, 1)
    .optional()
    .describe('Certificates by host. Default: one self-signed for localhost and the hosts of accounts.'),
})
  .prefault({})
  .describe('Encryption of the public listener.');

export const protectionSchema = section({
  header_bytes: byteSize('4KiB', '1MiB')
    .prefault('16KiB')
    .describe('Largest request head. Default 16KiB. Large values let clients fill the memory.'),
  body_bytes: byteSize('1B', '1TiB')
    .prefault('64MiB')
    .describe('Largest request body of routes without body_bytes of their own. Default 64MiB.'),
  header_timeout: duration('1s', '5m')
    .prefault('10s')
    .describe('How long a handshake, and then a request head, may take. Default 10s.'),
  body_idle_timeout: duration('1s', '1h')
    .prefault('30s')
    .describe(
      'Longest pause inside a request body, in which 240 bytes a second must come on average. Default 30s.',
    ),
  upstream_timeout: duration('1s', '1h')
    .prefault('60s')
    .describe("How long the CRM may take to begin an answer. Default 60s; the CRM's slowest report decides."),
  connections: wholeNumber(1, 1_000_000)
    .prefault(20_000)
    .describe('Connections at once, of all clients. Default 20000; mind the limit of open files.'),
  connections_per_client: wholeNumber(1, 1_000_000)
    .prefault(200)
    .describe(
      'Connections at once of one client, an IPv4 address or an IPv6 /64, and those that it may open in a second. ' +
        'Default 200; an office behind one address is one client. Trusted proxies are none.',
    ),
  stream_max_age: duration('10s', '30d')
    .prefault('12h')
    .describe('How long a WebSocket or event stream may live. Default 12h.'),
  drain: duration('0s', '1h')
    .prefault('30s')
    .describe('How long requests under way may take when the gateway stops. Default 30s.'),
})
  .prefault({})
  .describe('Bounds that keep a hostile client from holding the gateway.');

export const logSchema = section({
  level: choice(['trace', 'debug', 'info', 'warn', 'error'])
    .prefault('info')
    .describe('What is logged: info writes one line per request. Default info.'),
})
  .prefault({})
  .describe('Logs. They hold no secret at any level.');
