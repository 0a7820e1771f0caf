import { CRM_PASSWORD } from '../support/small-crm.ts';
import type { CookieJar } from '../support/cookie-jar.ts';
import { HttpsClient } from '../support/https-client.ts';
import type { RunningGateway } from '../support/start-gateway.ts';

/** A client of a gateway, with a jar of its own or one that it was given. */
export function clientOf(gateway: RunningGateway, jar?: CookieJar): HttpsClient {
  return new HttpsClient({ host: 'localhost', port: gateway.port, ca: gateway.ca }, jar);
}

/**
 * Signs a person in to the small CRM through the login form.
 *
 * @throws Error when the gateway or the CRM refuses.
 */
export async function signIn(client: HttpsClient, login: string): Promise<void> {
  await client.get('/login');
  const answer = await client.post('/login', { login, password: CRM_PASSWORD });
  if (answer.status !== 302) throw new Error(`login answered ${answer.status}: ${answer.text}`);
}

/** Who the CRM thinks is asking; `undefined` when the gateway lets nothing through. */
export async function whoAmI(client: HttpsClient): Promise<string | undefined> {
  const answer = await client.get('/whoami', { headers: { accept: 'application/json' } });
  if (answer.status !== 200) return undefined;
  return (JSON.parse(answer.text) as { user: string }).user;
}
