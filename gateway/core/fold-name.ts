/**
 * The form in which spellings of one login name are equal: most applications let `Olga`, `OLGA` and ` olga` sign in as
 * the same person, so ending "all sessions of olga" must find all of them. Two people whom only capitals tell apart
 * are signed out together, which is the safe mistake. For finding only: the CRM is told the name as it was typed.
 */
export function foldName(name: string): string {
  return name.normalize('NFKC').trim().toLowerCase();
}
