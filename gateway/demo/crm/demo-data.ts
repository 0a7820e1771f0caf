import { createHash, createHmac } from 'node:crypto';
import type { BookRecord, Operation, RecordKind, RecordValues } from './crm-record.ts';
import { CRM_ACCOUNTS, DEMO_LOGINS, type CrmAccount } from './demo-login.ts';
import { ENGLISH, RUSSIAN, type Vocabulary } from './demo-vocabulary.ts';
import { hashPassword } from './password-hash.ts';
import { STAGES } from './record-field.ts';

const LEADS = 40;
const CONTACTS = 60;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/**
 * The records of a fresh demo, the same on every node that has the same secret and starts on the same day.
 *
 * They carry `lamport: 0`, so that anything ever written wins over them; a node that restarts on a later day has
 * younger demo data, and the greater node name makes all nodes take it over.
 *
 * @param secret keys and salts are derived from it, since nodes that made random ones would disagree.
 */
export async function demoOperations(secret: string, nowMs: number): Promise<Operation[]> {
  const dayMs = Math.floor(nowMs / DAY_MS) * DAY_MS;
  const node = `demo-${dayMs}`;
  const seal = <K extends RecordKind>(
    kind: K,
    account: string,
    id: string,
    value: RecordValues[K],
  ): Operation => ({
    lamport: 0,
    node,
    account,
    kind,
    id,
    value,
  });
  const users = DEMO_LOGINS.map(async ({ account, login, password, name, isAdmin }) => {
    const derive = (label: string): Buffer =>
      createHmac('sha256', secret).update(`${label}/${account}/${login}`).digest();
    const passwordHash = await hashPassword(password, derive('salt').subarray(0, 16));
    const apiKey = `crm_${derive('key').toString('hex').slice(0, 40)}`;
    return seal('user', account, login, { login, name, isAdmin, passwordHash, apiKey });
  });
  const book = CRM_ACCOUNTS.flatMap((account) => [
    ...Array.from({ length: LEADS }, (_, at) =>
      seal('lead', account.id, `${101 + at}`, lead(account, at, dayMs)),
    ),
    ...Array.from({ length: CONTACTS }, (_, at) =>
      seal('contact', account.id, `${501 + at}`, contact(account, at, dayMs)),
    ),
  ]);
  return [...(await Promise.all(users)), ...book];
}

/** Draws the same numbers on every node. */
class Dice {
  readonly #seed: string;
  #throws = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  below(limit: number): number {
    this.#throws += 1;
    return createHash('sha256').update(`${this.#seed} ${this.#throws}`).digest().readUInt32BE() % limit;
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  }

  digits(count: number): string {
    return Array.from({ length: count }, () => this.below(10)).join('');
  }
}

interface Customer {
  readonly vocabulary: Vocabulary;
  readonly person: string;
  readonly company: string;
  readonly phone: string;
  readonly email: string;
}

function customer(account: CrmAccount, dice: Dice): Customer {
  const vocabulary = dice.below(100) < account.englishShare ? ENGLISH : RUSSIAN;
  const person = `${dice.pick(vocabulary.firstNames)} ${dice.pick(vocabulary.lastNames)}`;
  const company = dice.pick(vocabulary.companies);
  const email = `office${dice.digits(3)}@${vocabulary === ENGLISH ? 'customer.example' : 'zakazchik.example'}`;
  return { vocabulary, person, company, email, phone: vocabulary.phone(dice.digits(9)) };
}

function lead(account: CrmAccount, index: number, dayMs: number): BookRecord {
  const dice = new Dice(`lead ${account.id} ${index}`);
  const { vocabulary, person, company, phone, email } = customer(account, dice);
  const currency = dice.pick(vocabulary.currencies);
  const amount = (1 + dice.below(90)) * (currency === 'RUB' ? 25_000 : 400);
  const createdAtMs = workingHour(dayMs - Math.ceil((index + 2) * 1.7) * DAY_MS, dice);
  const updatedAtMs = workingHour(createdAtMs - (createdAtMs % DAY_MS) + DAY_MS * dice.below(3), dice);
  const fields = {
    title: dice.pick(vocabulary.deals),
    company,
    person,
    // Lost deals are rarer than the rest.
    stage: dice.pick([...STAGES, 'new', 'qualified', 'qualified', 'proposal', 'proposal', 'won']),
    amount,
    currency,
    phone,
    email,
    note: dice.pick(vocabulary.notes),
  };
  return {
    fields,
    createdAtMs,
    updatedAtMs: Math.max(createdAtMs, updatedAtMs),
    updatedBy: writer(account, dice),
  };
}

function contact(account: CrmAccount, index: number, dayMs: number): BookRecord {
  const dice = new Dice(`contact ${account.id} ${index}`);
  const { vocabulary, person, company, phone, email } = customer(account, dice);
  const createdAtMs = workingHour(dayMs - Math.ceil((index + 1) * 2.3) * DAY_MS, dice);
  const fields = {
    name: person,
    position: dice.pick(vocabulary.positions),
    company,
    city: dice.pick(vocabulary.cities),
    phone,
    email,
    note: dice.below(3) === 0 ? dice.pick(vocabulary.notes) : '',
  };
  return { fields, createdAtMs, updatedAtMs: createdAtMs, updatedBy: writer(account, dice) };
}

/** A minute of a working day, six to three by universal time. */
function workingHour(dayMs: number, dice: Dice): number {
  return dayMs + 6 * HOUR_MS + dice.below(9 * 60) * 60_000;
}

function writer(account: CrmAccount, dice: Dice): string {
  return dice.pick(DEMO_LOGINS.filter((login) => login.account === account.id)).login;
}
