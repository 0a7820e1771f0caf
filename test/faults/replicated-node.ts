/**
 * A CRM node whose replication keeps its word, as a program of its own: `replicated-node.ts REGION PORT`.
 *
 * A change is acknowledged when one other node has it (the followers marked `sync`); others get it a little later. A
 * node that has heard of a higher epoch refuses the log of an older primary, so a primary that was replaced
 * acknowledges nothing. `/control/*` is for whoever plays the cluster's operator.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

interface Entry {
  readonly key: string;
  readonly value: string;
  /** The one attempt of a client that this is; found twice in a log, a change was doubled. */
  readonly id: string;
}

interface Follower {
  readonly url: string;
  readonly sync: boolean;
}

/** How late a follower that is not `sync` hears of a change, and how often all are told where the primary stands. */
const ASYNC_MS = 300;
const BEAT_MS = 50;
const PEER_MS = 1000;

const [, , region = '', port = '0'] = process.argv;
let log: Entry[] = [];
const values = new Map<string, string>();
let role: 'primary' | 'replica' = 'replica';
let epoch = 0;
let followers: readonly Follower[] = [];
let freshMs = 0;
/** Whether the log is the one of the primary of this epoch. */
let isAsOfEpoch = false;
let fault = '';
/** One change at a time, so that positions mean something. */
let turn: Promise<unknown> = Promise.resolve();

function apply(entries: readonly Entry[]): void {
  for (const entry of entries) {
    log.push(entry);
    values.set(entry.key, entry.value);
  }
}

/** Sends a follower what it lacks from `from` on. @returns whether it has the whole log now. */
async function tell(follower: Follower, from: number, sentMs = Date.now()): Promise<boolean> {
  const body = JSON.stringify({ epoch, from, entries: log.slice(from), sentMs });
  const heard = await fetch(`${follower.url}/replicate`, {
    method: 'POST',
    body,
    signal: AbortSignal.timeout(PEER_MS),
  });
  const { ok, have, epoch: theirs } = (await heard.json()) as { ok: boolean; have: number; epoch: number };
  if (theirs > epoch) {
    role = 'replica';
    freshMs = 0;
    return false;
  }
  return ok || (have < from && (await tell(follower, have, sentMs)));
}

async function write(entry: Entry): Promise<number | undefined> {
  if (role !== 'primary') return undefined;
  const wrote = epoch;
  apply([entry]);
  const position = log.length;
  const isSafe = await Promise.all(
    followers.filter(({ sync }) => sync).map((each) => tell(each, position - 1).catch(() => false)),
  );
  return role === 'primary' && epoch === wrote && isSafe.some(Boolean) ? position : undefined;
}

/** Followers that are late get their changes with this too; freshness is measured by it. */
setInterval(() => {
  if (role !== 'primary') return;
  for (const follower of followers) {
    const position = log.length;
    const sentMs = Date.now();
    const beat = () => void tell(follower, position, sentMs).catch(() => undefined);
    if (follower.sync) beat();
    else setTimeout(beat, ASYNC_MS);
  }
}, BEAT_MS);

function replicate({ epoch: theirs, from, entries, sentMs }: Record<string, unknown>): object {
  if (Number(theirs) < epoch) return { ok: false, have: log.length, epoch };
  if (Number(theirs) > epoch || role === 'primary') {
    if (role === 'primary' && Number(theirs) === epoch)
      return { ok: false, have: log.length, epoch: epoch + 1 };
    // What an earlier primary wrote and nobody acknowledged is not in the new one's log, so all of it is wanted. Until
    // it is here the copy stays as it was: a copy that goes back shows people less than it showed them before.
    role = 'replica';
    epoch = Number(theirs);
    freshMs = 0;
    isAsOfEpoch = false;
  }
  const start = Number(from);
  if (!isAsOfEpoch) {
    if (start > 0) return { ok: false, have: 0, epoch };
    log = [];
    values.clear();
    isAsOfEpoch = true;
  }
  if (start > log.length) return { ok: false, have: log.length, epoch };
  apply((entries as Entry[]).slice(log.length - start));
  freshMs = Math.max(freshMs, Number(sentMs));
  return { ok: true, have: log.length, epoch };
}

function control(action: string | undefined, document: Record<string, unknown>): object {
  if (action === 'promote') {
    epoch = Number(document['epoch']);
    role = 'primary';
    isAsOfEpoch = true;
    followers = document['followers'] as Follower[];
  } else if (action === 'fault') fault = String(document['fault']);
  return { log, epoch, role };
}

function health(): object {
  const lagMs = role === 'primary' ? 0 : Math.min(Date.now() - freshMs, 1e9);
  // A position belongs to the log of its epoch.
  if (!isAsOfEpoch) return { status: 'ok', role, epoch: 0, lag_ms: lagMs };
  return { status: 'ok', role, epoch, position: String(log.length), lag_ms: lagMs };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request;
  const path = url.split('?')[0] ?? '';
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk as string;
    if (fault === 'reset' && path.startsWith('/item/')) {
      request.socket.resetAndDestroy();
      return;
    }
  }
  if (path.startsWith('/control/')) send(response, 200, control(path.split('/')[2], parse(text)));
  else if (path === '/replicate') send(response, 200, replicate(parse(text)));
  else {
    if (fault === 'slow') await new Promise((resolve) => setTimeout(resolve, 3000));
    await answerClient(method, path, text, request, response);
  }
}

async function answerClient(
  method: string,
  path: string,
  text: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const key = path.slice('/item/'.length);
  if (path === '/healthz') send(response, 200, health());
  else if (path === '/login') {
    response.setHeader('zasov-session', `begin; subject="${text}"`);
    send(response, 200, {});
  } else if (method === 'GET') send(response, 200, { value: values.get(key) ?? '0', region, role, epoch });
  else {
    const entry = { key, value: text, id: String(request.headers['x-write-id']) };
    const position = await (turn = turn.then(() => write(entry)));
    if (position !== undefined) response.setHeader('zasov-position', `${Number(position)};epoch=${epoch}`);
    send(response, position === undefined ? 503 : 200, { region });
  }
}

function parse(text: string): Record<string, unknown> {
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function send(response: ServerResponse, status: number, document: object): void {
  const body = JSON.stringify(document);
  if (fault === 'cut' && response.req.url?.startsWith('/item/') === true) {
    response.writeHead(status, { 'content-length': body.length + 10 }).write(body);
    setTimeout(() => response.socket?.resetAndDestroy(), 5);
    return;
  }
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`ready ${typeof address === 'object' ? address?.port : ''}\n`);
});
