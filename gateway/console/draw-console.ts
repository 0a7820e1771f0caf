import { createHash } from 'node:crypto';

import type { ConsoleFacts, DrawnPage } from '../pipeline/console-facts.ts';
import { ACCOUNT_STYLE } from './account-style.ts';
import { CONSOLE_WORDS, type ConsoleWords } from './console-words.ts';
import { markup, type Piece, trusted } from './markup.ts';
import { createMoments, type Moments } from './moment.ts';

const STYLE = `${ACCOUNT_STYLE}
.plain{list-style:none}
.plain li{padding:.75rem 1.35rem;border-top:1px solid var(--line);display:flex;flex-wrap:wrap;gap:.15rem .9rem;align-items:baseline}
.plain code{font:.82rem/1.4 ui-monospace,monospace;color:var(--soft);overflow-wrap:anywhere}
.plain .wide{flex:1 1 100%}
.mark{padding:.1rem .55rem;border-radius:1rem;font-size:.82rem;font-weight:600;background:var(--good-wash);color:var(--good)}
.mark.bad{background:var(--bad-wash);color:var(--bad)}
.mark.soft{background:var(--accent-wash);color:var(--accent)}
.none{padding:.9rem 1.35rem 1.1rem;border-top:1px solid var(--line);color:var(--soft)}
`;
/** One style, by its hash, and nothing else: no script, no form, no picture, no frame around it. */
const SECURITY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
const SOON_MS = 14 * 86_400_000;
const CONDITIONS = new Set(['open', 'avoided', 'draining', 'sealed']);

/**
 * Draws the page on which an administrator sees who may come in, what waits for a signature and how the regions are. It
 * changes nothing: what both must sign is signed with the person's own key on the person's own machine.
 */
export function drawConsole(facts: ConsoleFacts, language: 'en' | 'ru'): DrawnPage {
  const words = CONSOLE_WORDS[language];
  const moments = createMoments(language, facts.nowMs);
  const { name, certificateEndsMs } = facts.administrator;
  const ends = certificateEndsMs === undefined ? undefined : certificateEndsMs - facts.nowMs;
  const page = markup`<!doctype html><html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"><title>${words.title} · Zasov</title><style>${trusted(STYLE)}</style></head><body>
<header class="top"><div class="wrap"><span class="brand">Zasov</span></div></header>
<main class="wrap"><div><h1>${words.title}</h1><p class="who">${words.who} <b>${name}</b>${ends !== undefined && markup` · ${words.certificateEnds} <b>${moments.span(ends)}</b>`}</p>${ends !== undefined && ends < SOON_MS && markup`<p class="note bad" role="alert">${words.renew}</p>`}</div>
${panelCard(facts, words)}${proposalsCard(facts, words, moments)}${administratorsCard(facts, words)}${regionsCard(facts, words)}${backupsCard(facts, words, moments)}${serversCard(facts, words, moments)}<p class="end">${moments.full(facts.nowMs)}</p></main></body></html>`;
  return { html: page.text, security: SECURITY };
}

function card(id: string, title: string, lead: string, content: Piece): Piece {
  return markup`<section class="card" aria-labelledby="${id}"><header><div><h2 id="${id}">${title}</h2><p>${lead}</p></div></header>${content}</section>
`;
}

function items(rows: readonly Piece[], none: string): Piece {
  return rows.length === 0 ? markup`<p class="none">${none}</p>` : markup`<ul class="plain">${rows}</ul>`;
}

function panelCard({ pages }: ConsoleFacts, words: ConsoleWords): Piece {
  const rows = pages.map((path) => markup`<li><a href="${path}">${path}</a></li>`);
  return card('panel', words.panel, words.panelLead, items(rows, words.noPanel));
}

function administratorsCard(facts: ConsoleFacts, words: ConsoleWords): Piece {
  const rows = facts.administrators.map(
    ({ name, fingerprint }) =>
      markup`<li><b>${name}</b>${name === facts.administrator.name && markup`<span class="mark soft">${words.you}</span>`}<code class="wide">${words.key} sha256:${fingerprint}</code></li>`,
  );
  const wished =
    facts.wished.length > 0 &&
    markup`<p class="note bad" role="status">${words.wished} ${facts.wished.join(', ')}</p>`;
  return card('administrators', words.administrators, words.administratorsLead, [items(rows, '–'), wished]);
}

function proposalsCard({ proposals, nowMs }: ConsoleFacts, words: ConsoleWords, moments: Moments): Piece {
  const rows = proposals.map(
    ({ id, words: lines, hash, proposedBy, expiresMs }) =>
      markup`<li>${lines.map((line) => markup`<span class="wide">${line}</span>`)}<span class="small">${words.proposedBy} <b>${proposedBy}</b> · ${words.expires} ${moments.span(expiresMs - nowMs)}</span><code class="wide">${id}</code><code class="wide">${hash}</code></li>`,
  );
  return card('proposals', words.proposals, words.proposalsLead, items(rows, words.noProposals));
}

function regionsCard({ regions }: ConsoleFacts, words: ConsoleWords): Piece {
  const rows = regions.map(({ id, condition, nodes }) => {
    const tone = condition === 'open' ? 'mark' : condition === 'sealed' ? 'mark bad' : 'mark soft';
    const said = CONDITIONS.has(condition)
      ? words.conditions[condition as keyof ConsoleWords['conditions']]
      : condition;
    const lines = nodes.map(
      ({ url, healthy }) =>
        markup`<span class="wide small">${url} · <span class="${healthy ? 'mark' : 'mark bad'}">${healthy ? words.healthy : words.unhealthy}</span></span>`,
    );
    return markup`<li><b>${id}</b><span class="${tone}">${said}</span>${lines}</li>`;
  });
  return card('regions', words.regions, '', items(rows, '–'));
}

function backupsCard({ backup, nowMs }: ConsoleFacts, words: ConsoleWords, moments: Moments): Piece {
  if (backup === undefined) return card('backups', words.backups, '', items([], words.noBackups));
  const { last, isOverdue, nextMs, failure, isUnderWay } = backup;
  const tone = isOverdue ? 'mark bad' : 'mark';
  const whole =
    last === undefined
      ? markup`<li><span class="mark bad">${words.noBackupYet}</span></li>`
      : markup`<li><b>${moments.ago(last.createdMs)}</b><span class="${tone}">${isOverdue ? words.tooOld : words.lastBackup}</span><span class="small">${Math.ceil(last.bytes / 1024)} KiB</span><code class="wide">${last.archive}</code></li>`;
  const next = isUnderWay
    ? markup`<span class="mark soft">${words.underWay}</span>`
    : markup`<span class="small">${words.nextBackup} ${moments.span(Math.max(0, nextMs - nowMs))}</span>`;
  const rows = [whole, markup`<li>${next}</li>`];
  const failed =
    failure !== undefined && markup`<p class="note bad" role="alert">${words.failedBackup} ${failure}</p>`;
  return card('backups', words.backups, words.backupsLead, [items(rows, '–'), failed]);
}

function serversCard({ servers, tunnels }: ConsoleFacts, words: ConsoleWords, moments: Moments): Piece {
  const listed = servers.map((server) => markup`<li><code>${server}</code></li>`);
  const open = tunnels.map(
    ({ administrator, server, openedMs, bytesIn, bytesOut }) =>
      markup`<li><b>${administrator}</b><code>${server}</code><span class="small">${moments.ago(openedMs)} · ${bytesIn} B ${words.sent}, ${bytesOut} B ${words.received}</span></li>`,
  );
  return [
    card('servers', words.servers, words.serversLead, items(listed, words.noServers)),
    card('tunnels', words.tunnels, '', items(open, words.noTunnels)),
  ];
}
