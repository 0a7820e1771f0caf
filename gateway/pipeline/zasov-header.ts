import { parseList } from 'structured-headers';

/** What a CRM that knows the gateway says in an answer. */
export type CrmStatement =
  | { readonly kind: 'begin'; readonly subject: string; readonly account: string | undefined }
  | { readonly kind: 'end' }
  | { readonly kind: 'credentials-changed'; readonly subject: string };

/**
 * Reads `Zasov-Session` and `Zasov-Event` (RFC 9651 structured fields): `begin; subject="u1"; account="acme"`, `end`,
 * `credentials-changed; subject="u1"`. What cannot be read is passed over; `mistakes` says so for the log.
 */
export function readStatements(values: readonly string[]): { statements: CrmStatement[]; mistakes: number } {
  const statements: CrmStatement[] = [];
  let mistakes = 0;
  for (const value of values) {
    try {
      for (const [item, parameters] of parseList(value)) {
        const statement = readStatement(String(item), parameters);
        if (statement === undefined) mistakes++;
        else statements.push(statement);
      }
    } catch {
      mistakes++;
    }
  }
  return { statements, mistakes };
}

function readStatement(word: string, parameters: Map<string, unknown>): CrmStatement | undefined {
  const subject = parameters.get('subject');
  const account = parameters.get('account');
  if (word === 'end') return { kind: 'end' };
  if (typeof subject !== 'string' || subject === '' || subject.length > 256) return undefined;
  if (word === 'begin') {
    return { kind: 'begin', subject, account: typeof account === 'string' ? account : undefined };
  }
  return word === 'credentials-changed' ? { kind: 'credentials-changed', subject } : undefined;
}
