import type { BookRecord } from './crm-record.ts';

/** The two books of the CRM. */
export type BookKind = 'lead' | 'contact';

/** One field of a lead or contact, used by forms, cards, lists and the API alike. */
export interface RecordField {
  readonly name: string;
  readonly input: 'text' | 'email' | 'tel' | 'number' | 'select' | 'textarea';
  readonly isRequired?: boolean;
  readonly maxLength: number;
  readonly options?: readonly string[];
}

/** Stages of a lead, in the order of a sale. */
export const STAGES = ['new', 'qualified', 'proposal', 'won', 'lost'] as const;

/** Currencies of a lead's amount. */
const CURRENCIES = ['RUB', 'EUR', 'USD'];

/** The fields of each book; the first is the title of a record. */
export const RECORD_FIELDS: Readonly<Record<BookKind, readonly RecordField[]>> = {
  lead: [
    { name: 'title', input: 'text', isRequired: true, maxLength: 120 },
    { name: 'company', input: 'text', maxLength: 120 },
    { name: 'person', input: 'text', maxLength: 120 },
    { name: 'stage', input: 'select', maxLength: 20, options: STAGES },
    { name: 'amount', input: 'number', maxLength: 12 },
    { name: 'currency', input: 'select', maxLength: 3, options: CURRENCIES },
    { name: 'phone', input: 'tel', maxLength: 40 },
    { name: 'email', input: 'email', maxLength: 120 },
    { name: 'note', input: 'textarea', maxLength: 4000 },
  ],
  contact: [
    { name: 'name', input: 'text', isRequired: true, maxLength: 120 },
    { name: 'position', input: 'text', maxLength: 120 },
    { name: 'company', input: 'text', maxLength: 120 },
    { name: 'city', input: 'text', maxLength: 80 },
    { name: 'phone', input: 'tel', maxLength: 40 },
    { name: 'email', input: 'email', maxLength: 120 },
    { name: 'note', input: 'textarea', maxLength: 4000 },
  ],
};

/** What a record is called in lists: the value of its first field. */
export function titleOf(kind: BookKind, record: BookRecord): string {
  return String(record.fields[RECORD_FIELDS[kind][0]?.name ?? ''] ?? '');
}

/** Accepted values, and the names of the fields that were refused. */
interface ReadFields {
  readonly fields: Record<string, string | number>;
  readonly refused: readonly string[];
}

/**
 * Reads the fields of a record from a form or a JSON document; names that are no field are passed over.
 *
 * @param source looks a value up by name; `undefined` keeps what `present` has.
 */
export function readFields(
  kind: BookKind,
  source: (name: string) => unknown,
  present: BookRecord['fields'] = {},
): ReadFields {
  const fields: Record<string, string | number> = {};
  const refused: string[] = [];
  for (const field of RECORD_FIELDS[kind]) {
    const given = source(field.name) ?? present[field.name] ?? field.options?.[0] ?? '';
    const value = readValue(field, given);
    if (value === undefined) refused.push(field.name);
    else fields[field.name] = value;
  }
  return { fields, refused };
}

function readValue(field: RecordField, given: unknown): string | number | undefined {
  if (typeof given !== 'string' && typeof given !== 'number') return undefined;
  const text = String(given).trim();
  if (text.length > field.maxLength || !isWellFormed(field, text)) return undefined;
  return field.input === 'number' ? Math.round(Number(text)) : text;
}

function isWellFormed({ input, isRequired, options }: RecordField, text: string): boolean {
  if (text === '') return isRequired !== true && options === undefined;
  if (options !== undefined) return options.includes(text);
  if (input === 'email') return /^[^\s@]+@[^\s@]+$/.test(text);
  return input !== 'number' || /^\d+(?:\.\d+)?$/.test(text);
}
