import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { redirect, sendJson, sendText } from './crm-answer.ts';
import type { CrmContext, UserContext } from './crm-context.ts';
import { CrmProblem } from './crm-problem.ts';
import { openVisit } from './visit.ts';

const STATIC_TYPES: Readonly<Record<string, string>> = {
  'app.css': 'text/css; charset=utf-8',
  'app.js': 'text/javascript; charset=utf-8',
  'favicon.svg': 'image/svg+xml',
};

/**
 * GET /static/NAME. The style sheet opens a session and sets its cookie although it is marked `public`: the bad habit
 * that makes a shared cache hand one person's session to another.
 */
export async function sendStatic(context: CrmContext, name: string): Promise<void> {
  const { crm, request, response } = context;
  const contentType = Object.hasOwn(STATIC_TYPES, name) ? STATIC_TYPES[name] : undefined;
  if (contentType === undefined) throw new CrmProblem(404, 'no such file');
  const text = await readFile(join(crm.staticDirectory, name), 'utf8');
  const etag = `"${createHash('sha256').update(text).digest('hex').slice(0, 24)}"`;
  if (name === 'app.css') await openVisit(context);
  response.setHeader('ETag', etag);
  response.setHeader('Cache-Control', 'public, max-age=300');
  if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
  else await sendText(context, 200, contentType, [text]);
}

/** GET /language?to=&back=: sets the one cookie that is meant for the browser, and goes back. */
export function chooseLanguageCookie(context: CrmContext): void {
  const { url, response } = context;
  const language = url.searchParams.get('to') === 'ru' ? 'ru' : 'en';
  const back = url.searchParams.get('back') ?? '/';
  response.appendHeader('Set-Cookie', `lang=${language}; Path=/; Max-Age=31536000; SameSite=Lax`);
  // Only paths of this host: a second slash or a backslash would lead to another.
  redirect(context, /^\/(?![/\\])[^\s\\]*$/.test(back) ? back : '/');
}

/** GET /healthz: role, epoch, position and lag, as a gateway reads them. */
export async function sendHealth(context: CrmContext): Promise<void> {
  await sendJson(context, 200, context.crm.leadership.document);
}

/** Any method on /echo: what arrived, so that a test sees what a gateway forwards. Open to everyone. */
export async function sendEcho(context: CrmContext): Promise<void> {
  const { crm, request } = context;
  const hash = createHash('sha256');
  let bodyBytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(chunk)) continue;
    bodyBytes += chunk.length;
    hash.update(chunk);
  }
  const { method, url, httpVersion, headers, rawHeaders } = request;
  const raw = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : []));
  const bodySha256 = hash.digest('hex');
  const { region, account } = { region: crm.region, account: context.account };
  await sendJson(context, 200, {
    region,
    account,
    method,
    url,
    httpVersion,
    headers,
    raw,
    bodyBytes,
    bodySha256,
  });
}

/** GET /ajax/poll: what every open page asks for twice a minute, for ever. */
export async function sendPoll(context: UserContext): Promise<void> {
  const { crm, account, user } = context;
  const leads = crm.replica.list('lead', account);
  const newLeads = leads.filter(([, lead]) => lead.fields['stage'] === 'new').length;
  const document = { user: user.login, region: crm.region, leads: leads.length, new_leads: newLeads };
  await sendJson(context, 200, { ...document, time: new Date(crm.now()).toISOString() });
}

/**
 * GET /lead/ID, an address of an older version: sends to the new one under the node's own address and port, which a
 * gateway must not let out.
 */
export function redirectOldLink({ request, response }: CrmContext, id: string): void {
  const { localAddress = '', localPort = 0 } = request.socket;
  response.writeHead(301, { Location: `http://${localAddress}:${localPort}/leads/${id}` }).end();
}
