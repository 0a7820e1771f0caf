import type { IssuedKey, KeySummary } from '../api-key/api-key.ts';
import type { PersonAlarm } from '../pipeline/alarm-book.ts';
import type { SessionSummary } from '../session/session.ts';
import type { AccountNote, AccountWords, PageLanguage } from './account-words.ts';
import type { Moments } from './moment.ts';

/** Everything that the page shows. */
export interface AccountView {
  readonly language: PageLanguage;
  readonly words: AccountWords;
  readonly moments: Moments;
  readonly nowMs: number;
  readonly account: string;
  readonly subject: string;
  /** Of the session in which it is shown. */
  readonly token: string;
  readonly note: AccountNote | undefined;
  /** A key that is shown this once. */
  readonly fresh: IssuedKey | undefined;
  readonly keys: readonly KeySummary[];
  readonly mayCreate: boolean;
  readonly sessions: readonly SessionSummary[];
  readonly currentId: string;
  readonly alarms: readonly PersonAlarm[];
}
