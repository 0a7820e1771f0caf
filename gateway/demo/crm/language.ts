import { ENGLISH_WORDS } from './wording-en.ts';
import { RUSSIAN_WORDS } from './wording-ru.ts';

/** A language of the CRM. */
export type Language = 'en' | 'ru';

/** The name of a text. */
export type Word = keyof typeof ENGLISH_WORDS;

/** All texts by language. */
export const WORDS: Readonly<Record<Language, Readonly<Record<Word, string>>>> = {
  en: ENGLISH_WORDS,
  ru: RUSSIAN_WORDS,
};

/** The visitor's language: the cookie `lang`, then Russian if the browser prefers it, then English. */
export function chooseLanguage(cookie: string | undefined, acceptLanguage: string | undefined): Language {
  if (cookie === 'ru' || cookie === 'en') return cookie;
  return /^\s*ru\b/i.test(acceptLanguage ?? '') ? 'ru' : 'en';
}

/** The text of a word that is only known at run time (a field or a stage); the word itself if there is none. */
export function wordOf(language: Language, name: string): string {
  return (WORDS[language] as Readonly<Record<string, string>>)[name] ?? name;
}

/** An amount of money, without cents. */
export function formatMoney(language: Language, amount: number, currency: string): string {
  const format = new Intl.NumberFormat(localeOf(language), {
    style: 'currency',
    currency,
    currencyDisplay: 'narrowSymbol',
    maximumFractionDigits: 0,
  });
  return format.format(amount);
}

/** A moment to the minute, in UTC. */
export function formatMoment(language: Language, atMs: number): string {
  return new Intl.DateTimeFormat(localeOf(language), {
    dateStyle: language === 'ru' ? 'short' : 'medium',
    timeStyle: 'short',
    timeZone: 'UTC',
  }).format(atMs);
}

/** A size in bytes for people. */
export function formatSize(language: Language, bytes: number): string {
  const units = language === 'ru' ? ['Б', 'КБ', 'МБ', 'ГБ'] : ['B', 'KB', 'MB', 'GB'];
  const step = bytes === 0 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = new Intl.NumberFormat(localeOf(language), { maximumFractionDigits: 1 }).format(
    bytes / 1024 ** step,
  );
  return `${value} ${units[step] ?? ''}`;
}

function localeOf(language: Language): string {
  return language === 'ru' ? 'ru-RU' : 'en-GB';
}
