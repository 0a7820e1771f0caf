import { request } from 'undici';

import { DEMO_LOGINS } from '../demo/crm/demo-login.ts';
import type { Demo } from '../demo/demo.ts';
import { callControl } from './control-client.ts';

const LABEL = 'demo';

/** An API key of one of the demo's people. */
export interface DemoKey {
  readonly account: string;
  readonly login: string;
  readonly key: string;
}

/**
 * Gives everybody of the demo an API key, over the control socket as an operator would; those of earlier starts are
 * revoked, because nobody can read them again. The CRM's own key, which its second login door hands out, is sealed
 * with it and never leaves the house.
 *
 * @throws Error when the CRM or the gateway refuses.
 */
export async function issueDemoKeys({ nodes }: Demo, data: string): Promise<DemoKey[]> {
  const { value } = await callControl(data, 'GET', '/v1/keys');
  const old = (value as { id: string; label: string; state: string }[]).filter(
    ({ label, state }) => label === LABEL && (state === 'active' || state === 'expiring'),
  );
  await Promise.all(old.map(({ id }) => callControl(data, 'DELETE', `/v1/keys/${id}`)));
  const origin = nodes[0]?.url ?? '';
  return await Promise.all(
    DEMO_LOGINS.map(async ({ account, login, password }) => {
      const answer = await request(`${origin}/api/v4/login`, {
        method: 'POST',
        headers: { host: `${account}.crm.localhost`, 'content-type': 'application/json' },
        body: JSON.stringify({ login, password }),
      });
      const { api_key: credential } = (await answer.body.json()) as { api_key?: string };
      const wanted = { account, subject: login, label: LABEL, upstream_credential: credential };
      const issued = await callControl(data, 'POST', '/v1/keys', wanted);
      const { key } = issued.value as { key?: string };
      if (key === undefined)
        throw new Error(`no API key was issued for ${login}: ${JSON.stringify(issued.value)}`);
      return { account, login, key };
    }),
  );
}
