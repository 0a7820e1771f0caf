/** A person of the demo, as printed when it starts. */
export interface DemoLogin {
  readonly account: string;
  readonly login: string;
  readonly password: string;
  readonly name: string;
  readonly isAdmin: boolean;
}

/** A company that uses the CRM. */
export interface CrmAccount {
  readonly id: string;
  readonly title: string;
  /** How many of its customers write in English, of a hundred. */
  readonly englishShare: number;
}

/** The accounts of the demo, by the first label of the host name. */
export const CRM_ACCOUNTS: readonly CrmAccount[] = [
  { id: 'acme', title: 'Acme Trading', englishShare: 60 },
  { id: 'neva', title: 'Нева Снаб', englishShare: 20 },
  { id: 'volga', title: 'Волга Маш', englishShare: 10 },
];

/** Everyone who may sign in to a fresh demo; the administrator of each account is the CRM's own, not the gateway's. */
export const DEMO_LOGINS: readonly DemoLogin[] = [
  { account: 'acme', login: 'anna', password: 'anna-demo-1', name: 'Anna Orlova', isAdmin: true },
  { account: 'acme', login: 'boris', password: 'boris-demo-1', name: 'Boris Levin', isAdmin: false },
  { account: 'acme', login: 'clara', password: 'clara-demo-1', name: 'Clara Whitfield', isAdmin: false },
  { account: 'neva', login: 'anna', password: 'anna-demo-2', name: 'Анна Ладожская', isAdmin: true },
  { account: 'neva', login: 'boris', password: 'boris-demo-2', name: 'Борис Невский', isAdmin: false },
  { account: 'neva', login: 'clara', password: 'clara-demo-2', name: 'Клара Берг', isAdmin: false },
  { account: 'volga', login: 'anna', password: 'anna-demo-3', name: 'Анна Самарина', isAdmin: true },
  { account: 'volga', login: 'boris', password: 'boris-demo-3', name: 'Борис Волжин', isAdmin: false },
  { account: 'volga', login: 'clara', password: 'clara-demo-3', name: 'Клара Ким', isAdmin: false },
];
