import { declined, passing, refused, type WireCase } from './wire-case.ts';

const hosts = (...lines: readonly string[]): string => ['GET /case HTTP/1.1', ...lines, '', ''].join('\r\n');

/** Host (RFC 9112 section 3.2, RFC 9110 section 7.2). */
export const hostCases: readonly WireCase[] = [
  ...refused([
    ['RFC 9112 3.2', 'no Host', hosts('X-A: b')],
    ['RFC 9112 3.2', 'a space between Host and colon', hosts('Host : localhost')],
    ['RFC 9110 5.5', 'a NUL in Host', hosts('Host: local\0host')],
  ]),
  ...declined([
    ['RFC 9112 3.2', 'two Hosts, not alike', hosts('Host: localhost', 'Host: other')],
    ['RFC 9112 3.2', 'two Hosts, alike', hosts('Host: localhost', 'Host: localhost')],
    ['RFC 9112 3.2', 'two Hosts in two spellings', hosts('Host: localhost', 'hOST: other')],
    ['RFC 9112 3.2', 'an empty Host', hosts('Host:')],
    ['RFC 9112 3.2', 'two hosts in one Host', hosts('Host: localhost, other')],
    ['RFC 9112 3.2', 'two words in one Host', hosts('Host: localhost other')],
    ['RFC 9110 4.2.4', 'a user in Host', hosts('Host: boss@localhost')],
    ['RFC 9110 7.2', 'a path in Host', hosts('Host: localhost/denied')],
    ['RFC 9110 7.2', 'a scheme in Host', hosts('Host: https://localhost')],
    ['RFC 9110 7.2', 'a port that is no number', hosts('Host: localhost:https')],
    ['RFC 9110 7.2', 'a port that is too large', hosts('Host: localhost:65536')],
    ['RFC 9110 7.2', 'two ports', hosts('Host: localhost:1:2')],
    ['RFC 9110 7.2', 'high bytes in Host', hosts('Host: l\xf6calhost')],
    ['RFC 9110 7.2', 'escapes in Host', hosts('Host: local%68ost')],
    ['RFC 9110 7.2', 'a dot at the end', hosts('Host: localhost.')],
    ['RFC 9110 7.2', 'a broken address', hosts('Host: [::1')],
    ['RFC 9110 7.2', 'a host behind a tab', hosts('Host: a\tlocalhost')],
  ]),
  ...passing([
    [
      'RFC 9110 7.2',
      'a host with a port arrives as it was sent',
      hosts('Host: localhost:8443'),
      { headers: { host: ['localhost:8443'], 'x-forwarded-host': ['localhost:8443'] } },
    ],
    [
      'RFC 9110 4.2.3',
      'letter case of the host does not matter',
      hosts('Host: LOCALhost'),
      { headers: { host: ['LOCALhost'] } },
    ],
    [
      'RFC 9110 7.6.1',
      'Connection cannot take Host off',
      hosts('Connection: host', 'Host: localhost'),
      { headers: { host: ['localhost'] } },
    ],
    [
      'RFC 9110 7.2',
      'no header takes the place of Host',
      hosts(
        'Host: localhost',
        'X-Forwarded-Host: evil.example',
        'X-Host: evil.example',
        'X-Original-Host: evil.example',
        'X-HTTP-Host-Override: evil.example',
        'Forwarded: host=evil.example',
        'X_Forwarded_Host: evil.example',
      ),
      {
        headers: {
          host: ['localhost'],
          'x-forwarded-host': ['localhost'],
          'x-host': [],
          'x-original-host': [],
          'x-http-host-override': [],
          x_forwarded_host: [],
          forwarded: ['for=127.0.0.1;host="localhost";proto=https'],
        },
      },
    ],
    [
      'RFC 9110 7.2',
      'Host in other letters',
      'GET /case HTTP/1.1\r\nhOsT: localhost\r\n\r\n',
      { headers: { host: ['localhost'] } },
    ],
  ]),
];
