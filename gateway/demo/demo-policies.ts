import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { type Document, isSeq, parseDocument } from 'yaml';

interface Places {
  readonly policies: string;
  readonly data: string;
  readonly port: number | undefined;
}

interface Node {
  readonly region: string;
  readonly url: string;
}

/**
 * Gives the demo policies that fit the ports in use. Where they fit already they are used as they lie, so that editing
 * them shows the hot reload; otherwise a copy with other ports is written to `DATA/demo-policies`.
 *
 * @returns the path to load.
 */
export async function preparePolicies(
  { policies, data, port }: Places,
  nodes: readonly Node[],
): Promise<string> {
  const files = await policyFiles(policies);
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const fits = port === undefined && nodes.every(({ url }) => texts.some((text) => text.includes(url)));
  if (fits) return policies;
  const folder = join(data, 'demo-policies');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [index, file] of files.entries()) {
    const document = parseDocument(texts[index] ?? '');
    // A file with mistakes is copied as it is: the loader says what is wrong with it.
    if (document.errors.length === 0) adapt(document, port, nodes);
    await writeFile(
      join(folder, basename(file)),
      document.errors.length === 0 ? String(document) : (texts[index] ?? ''),
    );
  }
  return folder;
}

function adapt(document: Document, port: number | undefined, nodes: readonly Node[]): void {
  if (port !== undefined && document.has('listen')) {
    document.setIn(['listen', 'public', 'port'], port);
    if (port === 0) for (const name of ['admin', 'ops']) document.setIn(['listen', name, 'port'], 0);
  }
  const regions = document.get('regions');
  if (!isSeq(regions)) return;
  for (let index = 0; index < regions.items.length; index++) {
    const node = nodes.find(({ region }) => region === document.getIn(['regions', index, 'id']));
    if (node !== undefined) document.setIn(['regions', index, 'nodes'], [node.url]);
  }
}

async function policyFiles(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path);
  return names
    .filter((name) => /\.ya?ml$/.test(name) && !/\.test\.ya?ml$/.test(name))
    .toSorted()
    .map((name) => join(path, name));
}
