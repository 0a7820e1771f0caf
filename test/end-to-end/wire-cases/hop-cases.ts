import { get, head, passing, post, refused, type WireCase } from './wire-case.ts';

const SOCKET = [
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const CLIENT = ['127.0.0.1'];

/** What belongs to one connection, and who is who (RFC 9110 section 7.6). */
export const hopCases: readonly WireCase[] = [
  ...passing([
    [
      'RFC 9110 7.6.1',
      'headers that Connection names',
      get('Connection: x-a, X-B', 'X-A: 1', 'X-B: 2', 'X-C: 3'),
      { headers: { 'x-a': [], 'x-b': [], 'x-c': ['3'], connection: ['keep-alive'] } },
    ],
    [
      'RFC 9110 7.6.1',
      'headers that a second Connection names',
      get('Connection: keep-alive', 'Connection: x-a', 'X-A: 1'),
      { headers: { 'x-a': [] } },
    ],
    [
      'RFC 9110 7.6.1',
      'a Connection before and behind what it names',
      get('X-A: 1', 'Connection: x-a', 'X-A: 2'),
      { headers: { 'x-a': [] } },
    ],
    [
      'RFC 9110 7.6.1',
      'hop-by-hop headers that Connection forgot',
      get(
        'Keep-Alive: timeout=9',
        'Proxy-Connection: keep-alive',
        'TE: gzip',
        'Proxy-Authorization: Basic eHg6eHg=',
        'Proxy-Authenticate: Basic',
      ),
      {
        headers: {
          'keep-alive': [],
          'proxy-connection': [],
          te: [],
          'proxy-authorization': [],
          'proxy-authenticate': [],
        },
      },
    ],
    [
      'RFC 9110 7.6.1',
      'Connection cannot take off what the gateway adds',
      get(
        'Connection: x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-request-id, traceparent, forwarded',
      ),
      {
        headers: {
          'x-forwarded-for': CLIENT,
          'x-forwarded-proto': ['https'],
          'x-forwarded-host': ['localhost'],
          forwarded: ['for=127.0.0.1;host="localhost";proto=https'],
        },
      },
    ],
    [
      'RFC 9110 7.6.1',
      'Connection cannot take cookies off',
      get('Connection: cookie', 'Cookie: theme=dark'),
      { headers: { cookie: ['theme=dark'] } },
    ],
    [
      'RFC 9110 7.6.1',
      'a Connection of nonsense',
      get('Connection: ,, \t,"x-a",', 'X-A: 1'),
      { headers: { 'x-a': ['1'] } },
    ],
    [
      'RFC 9110 7.6.1',
      'another spelling of Connection',
      get('Connection_: x-a', 'X-A: 1'),
      { headers: { 'x-a': ['1'] } },
    ],
    [
      'RFC 9110 7.6.3',
      'Via is the client’s own claim and stays one',
      get('Via: 1.1 cache'),
      { headers: { via: ['1.1 cache'] } },
    ],
    ['RFC 9110 10.1.4', 'TE', get('Connection: TE', 'TE: trailers'), { headers: { te: [] } }],
    [
      'RFC 9110 7.8',
      'an upgrade to h2c',
      get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
      { headers: { upgrade: [], 'http2-settings': [], connection: ['keep-alive'] } },
    ],
    [
      'RFC 9110 7.8',
      'an upgrade to h2c with a body',
      post(['Connection: Upgrade', 'Upgrade: h2c', 'Content-Length: 5'], 'hello'),
      { body: 'hello', headers: { upgrade: [] } },
    ],
    [
      'RFC 9110 7.8',
      'an upgrade to several protocols',
      get('Connection: Upgrade', 'Upgrade: h2c, websocket'),
      { headers: { upgrade: [] } },
    ],
    [
      'RFC 9110 7.8',
      'an upgrade to TLS',
      get('Connection: Upgrade', 'Upgrade: TLS/1.3'),
      { headers: { upgrade: [] } },
    ],
    [
      'RFC 9110 7.8',
      'Upgrade that Connection does not name',
      get('Upgrade: websocket'),
      { headers: { upgrade: [] } },
    ],
    [
      'RFC 7239 5',
      'claims about the client',
      get(
        'X-Forwarded-For: 6.6.6.6',
        'X-Forwarded-For: 7.7.7.7',
        'X-Real-IP: 6.6.6.6',
        'Forwarded: for=6.6.6.6',
        'Client-IP: 6.6.6.6',
        'True-Client-IP: 6.6.6.6',
        'CF-Connecting-IP: 6.6.6.6',
        'X-Cluster-Client-IP: 6.6.6.6',
        'Fastly-Client-IP: 6.6.6.6',
      ),
      {
        headers: {
          'x-forwarded-for': CLIENT,
          'x-real-ip': [],
          'client-ip': [],
          'true-client-ip': [],
          'cf-connecting-ip': [],
          'x-cluster-client-ip': [],
          'fastly-client-ip': [],
        },
      },
    ],
    [
      'RFC 7239 5.4',
      'claims about the channel',
      get(
        'X-Forwarded-Proto: http',
        'X-Forwarded-Ssl: off',
        'X-Forwarded-Port: 80',
        'Front-End-Https: off',
        'X-Url-Scheme: http',
        'X-Scheme: http',
      ),
      {
        headers: {
          'x-forwarded-proto': ['https'],
          'x-forwarded-ssl': [],
          'x-forwarded-port': [],
          'front-end-https': [],
          'x-url-scheme': [],
          'x-scheme': [],
        },
      },
    ],
    [
      'RFC 3875 4.1.18',
      'claims about the person',
      get(
        'X-Zasov-Subject: boss',
        'X-Zasov-Account: other',
        'X-Zasov-Auth: admin',
        'X-Zasov-Assertion: x',
        'Zasov-Session: begin; subject="boss"',
      ),
      {
        headers: {
          'x-zasov-subject': [],
          'x-zasov-account': [],
          'x-zasov-auth': [],
          'x-zasov-assertion': [],
          'zasov-session': [],
        },
      },
    ],
    [
      'RFC 3875 4.1.18',
      'claims in CGI’s spelling',
      get(
        'X_Zasov_Subject: boss',
        'X-Zasov_Account: other',
        'x.zasov.auth: admin',
        'X_ZASOV-ASSERTION: x',
        "X'Zasov'Subject: boss",
        'X_Forwarded_For: 6.6.6.6',
        'X_Real_IP: 6.6.6.6',
      ),
      {
        headers: {
          x_zasov_subject: [],
          'x-zasov_account': [],
          'x.zasov.auth': [],
          'x_zasov-assertion': [],
          "x'zasov'subject": [],
          x_forwarded_for: [],
          x_real_ip: [],
        },
      },
    ],
    [
      'RFC 3875 4.1.18',
      'Proxy, which CGI takes for its own setting',
      get('Proxy: http://evil.example'),
      { headers: { proxy: [] } },
    ],
    [
      'W3C Trace Context 3.2',
      'a trace of the client’s own',
      get(`traceparent: 00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`, 'tracestate: a=b', 'X-Request-Id: mine'),
      { headers: { tracestate: [] } },
    ],
    [
      'RFC 6265 5.4',
      'cookies in several headers become one',
      get('Cookie: theme=dark', 'Cookie: lang=ru'),
      { headers: { cookie: ['theme=dark; lang=ru'] } },
    ],
    [
      'RFC 6265 5.4',
      'cookies of the gateway and the vault do not pass',
      get('Cookie: APPSID=planted; theme=dark'),
      { headers: { cookie: ['theme=dark'] } },
    ],
    [
      'RFC 9110 15.2.1',
      'Expect in HTTP/1.0 counts for nothing',
      'POST /case HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello',
      { body: 'hello', headers: { expect: [] } },
    ],
  ]),
  ...refused([
    [
      'RFC 6455 4.1',
      'a WebSocket handshake by POST',
      head('POST', '/case', 'Connection: Upgrade', ...SOCKET),
      426,
    ],
    [
      'RFC 6455 4.1',
      'a WebSocket handshake with a body',
      head('GET', '/case', 'Connection: Upgrade', ...SOCKET, 'Content-Length: 5') + 'hello',
      426,
    ],
    [
      'RFC 6455 4.1',
      'a WebSocket handshake with chunks',
      head('GET', '/case', 'Connection: Upgrade', ...SOCKET, 'Transfer-Encoding: chunked') + '0\r\n\r\n',
      426,
    ],
    [
      'RFC 6455 4.1',
      'a WebSocket handshake to a closed path',
      head('GET', '/denied', 'Connection: Upgrade', ...SOCKET),
      403,
    ],
  ]),
];
