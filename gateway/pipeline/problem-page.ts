import { createHash } from 'node:crypto';

import type { ProblemCode } from '../core/gateway-error.ts';

/** What a person reads: a heading and what to do, in the two languages of the product. */
interface PageText {
  readonly title: string;
  readonly advice: string;
}

type PageKind =
  | 'stranger'
  | 'session'
  | 'certificate'
  | 'key'
  | 'denied'
  | 'missing'
  | 'large'
  | 'away'
  | 'busy'
  | 'blocked'
  | 'broken';

const ENGLISH: Record<PageKind, PageText> = {
  stranger: { title: 'Please sign in', advice: 'This page is for people who are signed in.' },
  session: { title: 'Please sign in', advice: 'Your session is over. Sign in again to continue.' },
  certificate: {
    title: 'Your certificate is needed',
    advice:
      'This door opens for the two administrators only. Import your certificate, choose it when the browser asks, and renew it before it ends.',
  },
  denied: {
    title: 'This page is closed',
    advice: 'No rule lets you in here. Ask your administrator if you should be.',
  },
  key: {
    title: 'For programs only',
    advice: 'This address answers programs that have a valid API key. There is nothing to see in a browser.',
  },
  missing: { title: 'There is no such page', advice: 'Check the address, or go back.' },
  large: {
    title: 'That is too large',
    advice: 'Files of this size are not accepted here. Send a smaller one.',
  },
  away: {
    title: 'One moment, please',
    advice: 'The application is not answering right now. You are still signed in; try again shortly.',
  },
  busy: { title: 'Too many requests', advice: 'Wait a little and try again.' },
  blocked: {
    title: 'Sign-in is closed for a while',
    advice: 'Too many attempts failed. Wait, or use a browser from which you signed in before.',
  },
  broken: {
    title: 'This did not work',
    advice: 'The request could not be understood. Go back and try again.',
  },
};

const RUSSIAN: typeof ENGLISH = {
  stranger: { title: 'Войдите, пожалуйста', advice: 'Эта страница — для тех, кто вошёл в систему.' },
  session: { title: 'Войдите, пожалуйста', advice: 'Сеанс завершён. Войдите ещё раз, чтобы продолжить.' },
  certificate: {
    title: 'Нужен ваш сертификат',
    advice:
      'Эта дверь открывается только для двух администраторов. Установите свой сертификат, выберите его, когда браузер спросит, и обновляйте до истечения срока.',
  },
  denied: {
    title: 'Страница закрыта',
    advice: 'Ни одно правило не пускает вас сюда. Если доступ нужен, обратитесь к администратору.',
  },
  key: {
    title: 'Только для программ',
    advice: 'Этот адрес отвечает программам с действующим ключом API. В браузере здесь нечего смотреть.',
  },
  missing: { title: 'Такой страницы нет', advice: 'Проверьте адрес или вернитесь назад.' },
  large: {
    title: 'Слишком большой файл',
    advice: 'Файлы такого размера здесь не принимают. Отправьте файл поменьше.',
  },
  away: {
    title: 'Одну минуту',
    advice: 'Приложение сейчас не отвечает. Вы не вышли из системы; попробуйте чуть позже.',
  },
  busy: { title: 'Слишком много запросов', advice: 'Немного подождите и попробуйте снова.' },
  blocked: {
    title: 'Вход временно закрыт',
    advice: 'Слишком много неудачных попыток. Подождите или войдите из браузера, в котором уже входили.',
  },
  broken: { title: 'Не получилось', advice: 'Запрос не удалось понять. Вернитесь и попробуйте ещё раз.' },
};

const STYLE =
  ':root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;background:#f4f5f7;color:#1c2330}' +
  'main{max-width:26rem;margin:1rem;padding:2rem;background:#fff;border-radius:12px;box-shadow:0 1px 3px #0002}h1{margin:0 0 .5rem;font-size:1.4rem}' +
  'p{margin:0 0 1rem}a{color:#1f5fbf}small{color:#6b7280;word-break:break-all}' +
  '@media(prefers-color-scheme:dark){body{background:#12161d;color:#e6e9ee}main{background:#1b212b}a{color:#7fb0ff}small{color:#9aa3b0}}';

/** The policy that lets the page's one style in and nothing else. */
export const PAGE_SECURITY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/**
 * A small page for a person whose page load failed, Russian or English by `Accept-Language`, usable without script.
 *
 * @param loginPage where to sign in again; offered when the session is what is missing.
 */
export function problemPage(
  code: ProblemCode,
  status: number,
  requestId: string,
  acceptLanguage: string,
  loginPage: string,
): string {
  const isRussian = prefersRussian(acceptLanguage);
  const kind = pageKind(code, status);
  const { title, advice } = (isRussian ? RUSSIAN : ENGLISH)[kind];
  const link = isRussian ? 'Войти' : 'Sign in';
  const offer =
    kind === 'session' || kind === 'stranger' ? `<p><a href="${escapeHtml(loginPage)}">${link}</a></p>` : '';
  return (
    `<!doctype html><html lang="${isRussian ? 'ru' : 'en'}"><head><meta charset="utf-8">` +
    `<meta name="viewport" content="width=device-width,initial-scale=1"><title>${title}</title><style>${STYLE}</style></head>` +
    `<body><main><h1>${title}</h1><p>${advice}</p>${offer}<small>${status} ${code} · ${requestId}</small></main></body></html>`
  );
}

/** Whether Russian comes before English in an `Accept-Language` list (RFC 9110 section 12.5.4), weights respected. */
export function prefersRussian(acceptLanguage: string): boolean {
  let best = { language: '', weight: 0 };
  for (const part of acceptLanguage.slice(0, 256).split(',')) {
    const [tag = '', ...parameters] = part.trim().toLowerCase().split(';');
    const language = tag.split('-')[0] ?? '';
    if (language !== 'ru' && language !== 'en') continue;
    const quality = parameters.find((each) => each.trim().startsWith('q='));
    const weight = quality === undefined ? 1 : Number(quality.trim().slice(2)) || 0;
    if (weight > best.weight) best = { language, weight };
  }
  return best.language === 'ru';
}

function pageKind(code: ProblemCode, status: number): PageKind {
  if (code === 'session_required') return 'stranger';
  if (code === 'session_ended') return 'session';
  if (code.startsWith('certificate_')) return 'certificate';
  if (code.startsWith('key_')) return 'key';
  if (status === 404) return 'missing';
  if (status === 401 || status === 403) return 'denied';
  if (code === 'body_too_large') return 'large';
  if (status === 429) return code === 'sign_in_blocked' ? 'blocked' : 'busy';
  return status >= 500 ? 'away' : 'broken';
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
