/** A key from another program. */
interface ForeignKey {
  readonly account: string;
  readonly subject: string;
  readonly key: string;
  readonly label?: string | undefined;
}

/**
 * Reads a file of keys to be taken over: lines `account,subject,key[,label]` or JSON objects with these names, one a
 * line. Empty lines and lines that begin with `#` are passed over.
 *
 * @returns the keys, and the number of each one's line.
 * @throws Error that names the first line that cannot be read, and nothing of what stands there.
 */
export function importLines(text: string): { keys: ForeignKey[]; lines: number[] } {
  const keys: ForeignKey[] = [];
  const lines: number[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const key = line.startsWith('{') ? fromJson(line) : fromColumns(line);
    if (key === undefined)
      throw new Error(`line ${index + 1} is neither account,subject,key[,label] nor such an object`);
    keys.push(key);
    lines.push(index + 1);
  }
  return { keys, lines };
}

function fromColumns(line: string): ForeignKey | undefined {
  const [account = '', subject = '', key = '', ...label] = line.split(',').map((column) => column.trim());
  if (account === '' || subject === '' || key === '') return undefined;
  return { account, subject, key, ...(label.length === 0 ? {} : { label: label.join(',') }) };
}

function fromJson(line: string): ForeignKey | undefined {
  try {
    const { account, subject, key, label } = JSON.parse(line) as Record<string, unknown>;
    if (typeof account !== 'string' || typeof subject !== 'string' || typeof key !== 'string')
      return undefined;
    return { account, subject, key, ...(typeof label === 'string' ? { label } : {}) };
  } catch {
    return undefined;
  }
}
