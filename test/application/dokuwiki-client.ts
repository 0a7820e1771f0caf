import type { Answer, HttpsClient } from '../support/https-client.ts';

/** What a person does in DokuWiki, spoken by a client without scripts. */
export class DokuwikiClient {
  /** Every `Set-Cookie` that any answer brought. */
  readonly setCookies: string[] = [];
  readonly #client: HttpsClient;

  constructor(client: HttpsClient) {
    this.#client = client;
  }

  async open(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#keep(await this.#client.get(path, { headers: { accept: 'text/html', ...headers } }));
  }

  async signIn(name: string, password: string): Promise<Answer> {
    const form = await this.open('/doku.php?id=start&do=login');
    return await this.#post('/doku.php?id=start', {
      sectok: securityToken(form.text),
      id: 'start',
      do: 'login',
      u: name,
      p: password,
    });
  }

  async savePage(id: string, text: string): Promise<Answer> {
    const form = await this.open(`/doku.php?id=${id}&do=edit`);
    return await this.#post(`/doku.php?id=${id}&do=edit`, {
      sectok: securityToken(form.text),
      id,
      rev: '0',
      date: inputValue(form.text, 'date'),
      prefix: '.',
      suffix: '',
      changecheck: inputValue(form.text, 'changecheck'),
      target: 'section',
      wikitext: text,
      summary: 'a test',
      'do[save]': '1',
    });
  }

  async upload(namespace: string, name: string, content: Buffer): Promise<Answer> {
    const page = await this.open('/doku.php?id=start&do=profile');
    const query = new URLSearchParams({
      call: 'mediaupload',
      qqfile: name,
      ns: namespace,
      sectok: securityToken(page.text),
    });
    return this.#keep(
      await this.#client.send('POST', `/lib/exe/ajax.php?${query.toString()}`, {
        body: content,
        headers: { 'content-type': 'application/octet-stream', 'x-requested-with': 'XMLHttpRequest' },
      }),
    );
  }

  async changeProfile(oldPassword: string, newPassword: string): Promise<Answer> {
    const form = await this.open('/doku.php?id=start&do=profile');
    return await this.#post('/doku.php?id=start&do=profile', {
      sectok: securityToken(form.text),
      do: 'profile',
      save: '1',
      fullname: 'Olga',
      email: 'olga@example.test',
      newpass: newPassword,
      passchk: newPassword,
      oldpass: oldPassword,
    });
  }

  async signOut(): Promise<Answer> {
    const page = await this.open('/doku.php?id=start');
    const link = /href="(\/doku\.php\?[^"]*do=logout[^"]*)"/.exec(page.text)?.[1] ?? '';
    return await this.open(link.replaceAll('&amp;', '&'));
  }

  async #post(path: string, form: Record<string, string>): Promise<Answer> {
    return this.#keep(await this.#client.post(path, form, { accept: 'text/html' }));
  }

  #keep(answer: Answer): Answer {
    this.setCookies.push(...answer.setCookies);
    return answer;
  }
}

/** The token against forged requests; the last form of a page is the page's own. */
function securityToken(page: string): string {
  return [...page.matchAll(/name="sectok" value="([0-9a-f]*)"/g)].at(-1)?.[1] ?? '';
}

function inputValue(page: string, name: string): string {
  return new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1] ?? '';
}
