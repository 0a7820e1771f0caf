/**
 * The page's one style. It is let in by its hash, so nothing else can add to it; there are no `style` attributes.
 * Colours meet WCAG 2.2 AA (4.5:1) in both schemes.
 */
export const ACCOUNT_STYLE = `
:root{color-scheme:light dark;--ground:#f3f5f8;--card:#fff;--ink:#17202e;--soft:#56627a;--line:#dfe4ec;--accent:#1d5bd0;--accent-ink:#fff;--accent-wash:#e8effc;--good:#136c43;--good-wash:#e2f4ea;--warn:#855000;--warn-wash:#fdf1dc;--bad:#b3261e;--bad-wash:#fdeceb;--shadow:0 1px 2px #1017261a,0 4px 16px #1017260d}
@media(prefers-color-scheme:dark){:root{--ground:#0f141b;--card:#182029;--ink:#e7ebf1;--soft:#9dabc0;--line:#2b3644;--accent:#84b0ff;--accent-ink:#0b1a35;--accent-wash:#1c2b47;--good:#7dd3a6;--good-wash:#15301f;--warn:#f1bd68;--warn-wash:#35280f;--bad:#ff9d94;--bad-wash:#3d1a18;--shadow:0 1px 2px #0006}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;-webkit-text-size-adjust:100%}
h1,h2,h3,p,dl,dd,ul{margin:0;padding:0}
h1{font-size:1.6rem;line-height:1.2;letter-spacing:-.015em}
h2{font-size:1.15rem;line-height:1.3}
.wrap{max-width:64rem;margin:0 auto;padding:0 1.25rem}
.top{background:var(--card);border-bottom:1px solid var(--line)}
.top .wrap{display:flex;align-items:center;gap:.5rem 1rem;flex-wrap:wrap;padding-block:.7rem}
.brand{display:flex;align-items:center;gap:.55rem;font-weight:650;letter-spacing:.01em}
.brand svg{width:1.6rem;height:1.6rem;color:var(--accent)}
.top nav{display:flex;gap:.25rem;margin-left:auto}
a{color:var(--accent);text-underline-offset:.18em}
.top nav a{padding:.45rem .7rem;border-radius:.5rem;text-decoration:none}
.top nav a:hover{background:var(--accent-wash)}
main.wrap{padding-block:2.2rem 4rem;display:grid;gap:1.5rem}
main>*{min-width:0}
.who{color:var(--soft);margin-top:.3rem;overflow-wrap:anywhere}
.who b{color:var(--ink);font-weight:600}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;box-shadow:var(--shadow)}
.card>header{padding:1.15rem 1.35rem;display:flex;gap:.9rem 1.5rem;align-items:flex-start;justify-content:space-between;flex-wrap:wrap}
.card>header>div{flex:1 1 22rem}
.card>header>.asks{flex:none}
.card>header p{color:var(--soft);margin-top:.25rem;max-width:46rem;font-size:.95rem}
.note{border-radius:12px;padding:.8rem 1.1rem;background:var(--good-wash);color:var(--good);font-weight:550}
.note.bad{background:var(--warn-wash);color:var(--warn)}
.fresh{border:2px solid var(--accent);padding:1.2rem 1.35rem;display:grid;gap:.7rem}
.fresh code{display:block;padding:.85rem 1rem;border-radius:10px;background:var(--accent-wash);font-size:1.02rem;overflow-wrap:anywhere;user-select:all;-webkit-user-select:all}
.fresh p{color:var(--soft)}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
table{width:100%;border-collapse:collapse;font-size:.95rem}
th{text-align:left;font-size:.8rem;font-weight:600;color:var(--soft);padding:.55rem .75rem;border-block:1px solid var(--line);background:color-mix(in srgb,var(--ground) 55%,var(--card));white-space:nowrap}
td{padding:.9rem .75rem;vertical-align:top;border-top:1px solid var(--line)}
tbody tr:first-child td{border-top:0}
th:first-child,td:first-child{padding-left:1.35rem}
th:last-child,td:last-child{padding-right:1.35rem}
td.act{text-align:right;width:1%;white-space:nowrap}
.name{font-weight:600;display:flex;gap:.65rem;align-items:flex-start}
.name svg{flex:none;width:1.35rem;height:1.35rem;color:var(--soft);margin-top:.08rem}
.small,time small{color:var(--soft);font-size:.85rem;font-weight:400;display:block}
.small code{font-size:.82rem}
.num{font-variant-numeric:tabular-nums}
.badge{display:inline-block;padding:.1rem .6rem;border-radius:99px;font-size:.82rem;font-weight:600;white-space:nowrap;background:var(--line);color:var(--soft)}
.badge.active,.badge.this{background:var(--good-wash);color:var(--good)}
.badge.expiring,.badge.held{background:var(--warn-wash);color:var(--warn)}
.badge.revoked{background:var(--bad-wash);color:var(--bad)}
progress{appearance:none;display:block;width:100%;max-width:7.5rem;height:.35rem;border:0;border-radius:9px;overflow:hidden;background:var(--line);margin-top:.4rem}
progress::-webkit-progress-bar{background:var(--line)}
progress::-webkit-progress-value{background:var(--good)}
progress::-moz-progress-bar{background:var(--good)}
progress.low::-webkit-progress-value{background:var(--warn)}
progress.low::-moz-progress-bar{background:var(--warn)}
button,summary.button{font:inherit;font-size:.92rem;font-weight:600;line-height:1.3;min-height:2.5rem;padding:.5rem .95rem;border-radius:9px;border:1px solid var(--line);background:var(--card);color:var(--ink);cursor:pointer;display:inline-flex;align-items:center;justify-content:center;text-align:center}
button:hover,summary.button:hover{border-color:var(--soft)}
button.primary{background:var(--accent);border-color:var(--accent);color:var(--accent-ink)}
button.danger{background:var(--bad);border-color:var(--bad);color:var(--card)}
summary.danger{color:var(--bad)}
button:hover{filter:brightness(1.06)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
summary{cursor:pointer}
summary.button{list-style:none;user-select:none;-webkit-user-select:none;white-space:nowrap}
summary.button::-webkit-details-marker{display:none}
.asks{display:flex;gap:.5rem;justify-content:flex-end}
.ask{position:relative}
.ask[open]>summary{background:var(--ground);border-color:var(--soft)}
.ask form{position:absolute;z-index:1;right:0;top:calc(100% + .5rem);display:grid;gap:.8rem;width:19rem;padding:1rem 1.1rem;border:1px solid var(--line);border-radius:12px;background:var(--card);box-shadow:0 12px 36px #10172640;text-align:left;white-space:normal}
.ask form p{font-size:.92rem}
.waiting td{border-top:0;padding-top:0}
.banner{display:flex;gap:.75rem 1.25rem;align-items:center;justify-content:space-between;flex-wrap:wrap;padding:.85rem 1rem;border-radius:12px;background:var(--accent-wash)}
.banner p{font-size:.92rem;color:var(--soft);max-width:38rem}
.banner b{display:block;color:var(--ink)}
.empty{padding:1.6rem 1.35rem 1.9rem;border-top:1px solid var(--line);text-align:center;color:var(--soft)}
.empty svg{width:2.4rem;height:2.4rem;opacity:.65}
.empty b{display:block;color:var(--ink);margin:.35rem 0 .15rem}
.foot{padding:1rem 1.35rem;border-top:1px solid var(--line)}
.foot>summary{font-weight:600;color:var(--soft)}
.foot ul{list-style:none;margin-top:.7rem;display:grid;gap:.6rem}
.foot li{display:flex;flex-wrap:wrap;gap:.2rem .8rem;align-items:baseline;font-size:.92rem}
.create{display:flex;gap:.75rem;flex-wrap:wrap;align-items:flex-end;text-align:left}
.create label{flex:1 1 16rem;font-size:.9rem;font-weight:600;color:var(--soft)}
input[type=text]{display:block;width:100%;margin-top:.25rem;font:inherit;font-weight:400;min-height:2.5rem;padding:.4rem .75rem;border:1px solid var(--soft);border-radius:9px;background:var(--card);color:var(--ink)}
.alarms{border-color:var(--bad)}
.alarms h2{color:var(--bad)}
.alarms ul{list-style:none}
.alarms li{padding:.8rem 1.35rem;border-top:1px solid var(--line);display:grid;gap:.1rem}
.end{color:var(--soft);font-size:.85rem;text-align:center}
@media(max-width:46rem){
.card>header>.asks{flex:1 1 100%}
.wrap{padding-inline:1rem}
main.wrap{padding-block:1.4rem 3rem;gap:1.1rem}
h1{font-size:1.4rem}
.top .wrap{padding-block:.5rem}
.top nav{margin-right:-.5rem}
.top nav a{padding:.5rem}
.card>header,.alarms li,.foot{padding-inline:1.1rem}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody,tr,td{display:block}
tbody tr{padding:1rem 1.1rem;border-top:1px solid var(--line)}
td,td:first-child,td:last-child{padding:.22rem 0;border:0;width:auto}
td[data-label]{display:grid;grid-template-columns:minmax(7.5rem,38%) 1fr;gap:.75rem;align-items:baseline}
td[data-label]::before{content:attr(data-label);color:var(--soft);font-size:.88rem}
td:first-child{padding-bottom:.45rem}
tr.waiting{padding-top:0;border-top:0;margin-top:-.25rem}
td.act{text-align:left;padding-top:.7rem}
.asks{justify-content:stretch;flex-wrap:wrap}
.asks>*{flex:1 1 8rem}
.ask summary.button,.asks>form button,.banner form,.banner button,.create button{width:100%}
.ask[open]{flex-basis:100%}
.ask form{position:static;width:100%;margin-top:.5rem;background:var(--ground);box-shadow:none}
.ask form button{width:100%}
button,summary.button{min-height:2.75rem}
}
@media(prefers-reduced-motion:no-preference){button,summary.button,.top nav a{transition:background-color .12s,border-color .12s,filter .12s}}
`;
