const DAY_MS = 86_400_000;

/** How old a key may become: calendar months, or a time. */
export type KeyAge = { readonly months: number } | { readonly ms: number };

/**
 * When a key that was made at a time has to go. Months are those of the calendar in UTC, so that no change of clocks
 * moves them; a day that the last month lacks becomes its last day (31 August and six months are 28 or 29 February).
 */
export function endOfAge(createdMs: number, age: KeyAge): number {
  if ('ms' in age) return createdMs + age.ms;
  const created = new Date(createdMs);
  const month = created.getUTCMonth() + age.months;
  const year = created.getUTCFullYear();
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const day = Math.min(created.getUTCDate(), lastDay);
  return (
    Date.UTC(year, month, day) + (createdMs - Date.UTC(year, created.getUTCMonth(), created.getUTCDate()))
  );
}

/** Whole days that are left, rounded up: a key that ends tonight has one. */
export function daysLeft(nowMs: number, expiresMs: number): number {
  return Math.max(0, Math.ceil((expiresMs - nowMs) / DAY_MS));
}
