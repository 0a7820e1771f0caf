import { request, type IncomingHttpHeaders } from 'node:http';
import { DEMO_LOGINS } from '../../gateway/demo/crm/demo-login.ts';

/** An answer read whole. */
export interface CrmAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly bytes: Buffer;
}

/** A browser's habits, as far as tests need them: one account's host name and a cookie jar. */
export class CrmVisitor {
  readonly cookies = new Map<string, string>();
  url: string;
  readonly #host: string;

  constructor(url: string, account = 'acme') {
    this.url = url;
    this.#host = `${account}.crm.localhost`;
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<CrmAnswer> {
    return await this.send('GET', path, headers);
  }

  /** Posts a urlencoded form. */
  async post(path: string, form: Record<string, string>): Promise<CrmAnswer> {
    const body = new URLSearchParams(form).toString();
    return await this.send('POST', path, { 'content-type': 'application/x-www-form-urlencoded' }, body);
  }

  async send(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string | Buffer,
  ): Promise<CrmAnswer> {
    const answer = await new Promise<CrmAnswer>((resolve, reject) => {
      const all = { ...this.headers(), ...headers };
      const call = request(new URL(path, this.url), { method, headers: all, agent: false }, (reply) => {
        const chunks: Buffer[] = [];
        reply.on('data', (chunk: Buffer) => chunks.push(chunk));
        reply.on('error', reject);
        reply.on('end', () => {
          const bytes = Buffer.concat(chunks);
          resolve({ status: reply.statusCode ?? 0, headers: reply.headers, bytes, text: bytes.toString() });
        });
      });
      call.on('error', reject);
      call.end(body);
    });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [name = '', value = ''] = line.split(';', 1)[0]?.split('=') ?? [];
      this.cookies.set(name, value);
    }
    return answer;
  }

  /** Host and Cookie, for requests made by other means. */
  headers(): Record<string, string> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    return { host: this.#host, ...(cookie === '' ? {} : { cookie }) };
  }

  /** The token of the form on a page. */
  async token(path: string): Promise<string> {
    return tokenOf(await this.get(path));
  }

  /** Signs a person of the demo in. */
  async signIn(login = 'anna', password?: string): Promise<CrmAnswer> {
    const account = this.#host.split('.', 1)[0];
    const known = DEMO_LOGINS.find((person) => person.account === account && person.login === login);
    return await this.post('/login', {
      csrf: await this.token('/login'),
      username: login,
      password: password ?? known?.password ?? '',
    });
  }
}

/** The token of the first form of a page. */
export function tokenOf(answer: CrmAnswer): string {
  return /name="csrf" value="([^"]+)"/.exec(answer.text)?.[1] ?? '';
}

/** Asks again until the answer satisfies; replication takes a moment. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isGood: (answer: T) => boolean,
  withinMs = 8000,
): Promise<T> {
  const endMs = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (isGood(answer) || Date.now() > endMs) return answer;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
