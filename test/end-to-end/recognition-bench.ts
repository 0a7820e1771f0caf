import { setTimeout as pause } from 'node:timers/promises';
import { HttpsClient, type Sending } from '../support/https-client.ts';
import { targetOf } from '../support/open-policy.ts';
import { type AnswerRequest, startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';

const policy = (origin: string): string => `
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${origin}"], health: { timeout: 30s } }
routes:
  - { name: all, match: { path: "/**" }, access: public }
sessions:
  vault: [SID]
  login_page: /login
  anonymous: { per_client: 10000/1m }
  begin:
    - match: { method: POST, path: /form, form: { action: login } }
      subject: form.user
      success: { status: [302, 303] }
    - match: { method: POST, path: /json, json: { action: login } }
      subject: json.person.login
      success: { status: 200, header: { x-result: "ok*" } }
    - match: { path: /query, query: { do: login } }
      subject: query.u
      success: { status: 302, location: "!/login*" }
    - match: { method: POST, path: /cookie }
      subject: form.user
      success: { sets_cookie: "SID*" }
    - match: { method: POST, path: /has }
      subject: form.user
      success: { status: 200, body_has: "Welcome" }
    - match: { method: POST, path: /greets }
      subject: form.user
      success: { status: 200, body_has: "Привет" }
    - match: { path: /lacks }
      subject: query.user
      success: { body_lacks: "<form" }
    - match: { method: POST, path: /sso }
      subject: header.x-user
      success: { status: 200 }
  end:
    - match: { path: /logout }
    - match: { query: { do: logout } }
    - match: { method: POST, form: { action: bye } }
  credential_change:
    - match: { method: POST, path: /password }
      when: { form: [new_password] }
      success: { status: 200, body_lacks: "wrong" }
      subject: session
    - match: { method: POST, path: /users }
      when: { json: [password] }
      success: { status: 200 }
      subject: query.id
`;

/** A gateway that knows every kind of rule, before an upstream that answers as it is told. */
export interface RecognitionBench {
  readonly origin: string;
  newClient(): HttpsClient;
  /** A client that signed in by the form. */
  signedIn(user: string): Promise<HttpsClient>;
  /** Sends a request that the upstream will answer in this way. @returns status and cookies. */
  ask(
    client: HttpsClient,
    request: [method: string, path: string, sending: Sending],
    reply: AnswerRequest,
  ): Promise<{ status: number; setCookies: readonly string[] }>;
  /** What the access log says of a path, once it says something. */
  accessLine(path: string): Promise<Readonly<Record<string, unknown>>>;
  close(): Promise<void>;
}

/** Starts both. */
export async function startRecognitionBench(): Promise<RecognitionBench> {
  let reply: AnswerRequest = OK;
  const upstream = await startRecordingUpstream((...parts) => reply(...parts));
  const gateway = await startGateway(policy(upstream.origin));
  const clients: HttpsClient[] = [];
  const newClient = (): HttpsClient => {
    const client = new HttpsClient(targetOf(gateway));
    clients.push(client);
    return client;
  };
  return {
    origin: upstream.origin,
    newClient,
    signedIn: async (user) => {
      reply = OK;
      const client = newClient();
      await client.post('/form', { action: 'login', user });
      return client;
    },
    ask: async (client, [method, path, sending], answered) => {
      reply = answered;
      return await client.send(method, path, sending);
    },
    accessLine: async (path) => {
      const isOfPath = new RegExp(`"path":"${path}"`);
      const { output } = gateway.program;
      for (;;) {
        const line = output.stderr.split('\n').find((each) => isOfPath.test(each) && each.endsWith('}'));
        if (line !== undefined) return JSON.parse(line) as Record<string, unknown>;
        await pause(20);
      }
    },
    close: async () => {
      for (const client of clients) client.close();
      await gateway.program.stop();
      await upstream.close();
    },
  };
}

/** Whom the gateway's probe names. */
export async function subjectOf(client: HttpsClient): Promise<unknown> {
  return (JSON.parse((await client.get('/.zasov/session')).text) as { subject?: string }).subject;
}

/** An upstream's answer. */
export const answer =
  (
    status: number,
    headers: Record<string, string | string[]> = {},
    body: string | Buffer = '',
  ): AnswerRequest =>
  (_request, response) =>
    response.writeHead(status, headers).end(body);

/** What the sign-in form is answered with when all is well. */
export const OK = answer(302, { location: '/' });

const BOUNDARY = 'x-x-x';
/** A form with a boundary. */
export function multipart(fields: [string, string][]): Sending {
  const parts = fields.map(
    ([name, value]) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    body: `${parts.join('')}--${BOUNDARY}--\r\n`,
  };
}

/** A JSON body. */
export function json(value: unknown): Sending {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

/** An urlencoded body as it stands. */
export function text(body: string): Sending {
  return { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body };
}
