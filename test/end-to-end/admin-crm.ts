import { type AdminGateway, type Credentials, startAdminGateway } from '../support/admin-gateway.ts';
import { HttpsClient } from '../support/https-client.ts';
import { regionOf } from '../support/open-policy.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../support/recording-upstream.ts';

/** The account's host, under which the administration is. */
export const ADMIN_HOST = 'acme.crm.localhost';

/** A CRM with an administration behind a gateway with two administrators. */
export interface AdminCrm extends AdminGateway {
  readonly upstream: RecordingUpstream;
  readonly annas: Credentials;
  readonly borises: Credentials;
  /** Somebody at the admin listener. */
  readonly client: (credentials?: Credentials) => HttpsClient;
  /** Somebody at the public listener. */
  readonly person: () => HttpsClient;
  /** What reached the CRM last. */
  readonly lastRequest: () => RecordingUpstream['requests'][number];
  stop(): Promise<void>;
}

/** Starts it. @param more further lines of the policies. */
export async function startAdminCrm(more = ''): Promise<AdminCrm> {
  const upstream = await startRecordingUpstream((asked, response) => {
    if (asked.url === '/login' && asked.method === 'POST')
      response.writeHead(302, { location: '/admin', 'set-cookie': 'SID=in; Path=/; HttpOnly' });
    else if (asked.url === '/admin/own-login')
      response.setHeader('set-cookie', `SID=own${Math.random()}; Path=/`);
    else if (asked.url === '/admin/events') {
      response.setHeader('content-type', 'text/event-stream');
      response.write('data: 1\n\n');
      return;
    }
    response.end('ok');
  });
  const admins = await startAdminGateway(policy(upstream.origin) + more);
  const annas = await admins.certify(admins.anna);
  const borises = await admins.certify(admins.boris);
  const { gateway } = admins;
  return {
    ...admins,
    upstream,
    annas,
    borises,
    client: (credentials) => new HttpsClient(admins.target(credentials, ADMIN_HOST)),
    person: () => new HttpsClient({ host: ADMIN_HOST, port: gateway.port, ca: gateway.ca }),
    lastRequest: () => {
      const asked = upstream.requests.at(-1);
      if (asked === undefined) throw new Error('nothing reached the upstream');
      return asked;
    },
    stop: async () => {
      await gateway.program.stop();
      await upstream.close();
    },
  };
}

function policy(origin: string): string {
  return `
regions:
${regionOf('a', origin)}accounts: { host: "{account}.crm.localhost" }
routes:
  - { name: closed, match: { path: "/admin/closed" }, access: deny }
  - { name: panel, match: { path: ["/admin", "/admin/**"] }, access: admin }
  - { name: open, match: { path: ["/login", "/static/**"] }, access: public }
  - { name: api, match: { path: "/api/**" }, access: api_key }
  - { name: app, match: { path: "/**" }, access: session }
sessions:
  rotate_every: 500ms
  grace: 200ms
  vault: [SID]
  begin: [{ match: { method: POST, path: /login }, subject: form.user, success: { status: [302] } }]
  credential_change:
    - { match: { method: POST, path: /admin/password }, when: { form: [new] }, success: { status: 200 }, subject: form.user }
`;
}
