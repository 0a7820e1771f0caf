import { randomBytes } from 'node:crypto';
import { CookieJar } from './cookie-jar.ts';
import { HttpsClient } from './https-client.ts';
import { type RecordingUpstream, startRecordingUpstream } from './recording-upstream.ts';
import type { RunningGateway } from './start-gateway.ts';

/**
 * Policies with a route of every access, for an upstream of several accounts.
 *
 * @param accounts the `accounts` section.
 */
export function accountPolicy(accounts: string, origin: string): string {
  return `
accounts: ${accounts}
tls:
  certificates:
    - { hosts: ["*.crm.localhost", localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${origin}"], health: { timeout: 30s } }
routes:
  - { name: open, match: { path: ["/login", "/open", "/saml"] }, access: public }
  - { name: api, match: { path: "/api/**" }, access: api_key }
  - { name: crm admin, match: { path: ["/admin", "/admin/**"] }, access: admin }
  - { name: closed, match: { path: "/closed/**" }, access: deny }
  - { name: app, match: { path: "/app/**" }, access: session }
sessions:
  vault: [APPSID]
  login_page: /login
  allow_cross_site: [/saml]
  begin:
    - match: { method: POST, path: /login }
      subject: form.user
      success: { status: 303 }
`;
}

/** An upstream that signs everybody in, under a new cookie each time. */
export async function startAccountCrm(): Promise<RecordingUpstream> {
  return await startRecordingUpstream((request, response) => {
    if (request.method === 'POST' && request.url === '/login') {
      response.setHeader('set-cookie', `APPSID=${randomBytes(8).toString('hex')}; Path=/`);
      response.writeHead(303, { location: '/app/' });
    }
    response.end('answer');
  });
}

/** The host of the account that tests sign in to. */
export const ACME = 'acme.crm.localhost';

/** Clients of a gateway, closed together. */
export class Visitors {
  readonly #gateway: RunningGateway;
  readonly #clients: HttpsClient[] = [];

  constructor(gateway: RunningGateway) {
    this.#gateway = gateway;
  }

  /** @param jar what the client holds already, as when it was copied. */
  stranger(host = ACME, jar = new CookieJar()): HttpsClient {
    const { port, ca } = this.#gateway;
    const client = new HttpsClient({ host, port, ca }, CookieJar.copyOf(jar));
    this.#clients.push(client);
    return client;
  }

  /** @throws Error when the sign-in is refused. */
  async signedIn(user: string): Promise<HttpsClient> {
    const client = this.stranger();
    const answer = await client.post('/login', { user });
    if (answer.status !== 303) throw new Error(`the sign-in was answered with ${answer.status}`);
    return client;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
