// The report's style: system fonts, one accent colour (that of the pictures' first series), light and dark.
#include "apps/report/page.h"

namespace rb::apps {

const char kReportStyle[] = R"css(
:root {
  color-scheme: light dark;
  --ink: #1d2126; --soft: #5c6670; --line: #e2e5e9; --paper: #fff; --wash: #f6f7f9; --accent: #0a639c;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #9aa4ae; --line: #31363c; --paper: #15181b; --wash: #1d2125; --accent: #6cb8e6; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0 auto; padding: 3rem 1.5rem 5rem; max-width: 78rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { margin: 0; font-size: 2rem; line-height: 1.2; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { margin: 3.5rem 0 1rem; font-size: 1.25rem; font-weight: 650; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: var(--accent); text-underline-offset: .15em; text-decoration-thickness: 1px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
code { font: .86em/1.5 var(--mono); overflow-wrap: anywhere; }
.lead { margin: .4rem 0 0; color: var(--soft); }
.note { padding: .6rem .9rem; border-left: 3px solid var(--accent); background: var(--wash); overflow-wrap: anywhere; }

.tiles { display: flex; flex-wrap: wrap; gap: 1.5rem 3rem; margin: 2.25rem 0 0; }
.tiles div { min-width: 7rem; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.6rem; line-height: 1.3; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tiles small { font-size: .95rem; color: var(--soft); }

.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1.5rem; margin: 1rem 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }

.pictures {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem;
  align-items: start; margin: 1.25rem 0;
}
@media (min-width: 56rem) { .wide { grid-column: span 2; } }
figure { margin: 0; min-width: 0; }
figcaption { margin: 0 0 .35rem; color: var(--soft); font-size: .9rem; }
.picture { padding: .35rem; border: 1px solid var(--line); border-radius: 6px; background: #fff; }
.picture svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.chip { display: inline-block; padding: 2px 3px; border-radius: 3px; background: #fff; vertical-align: middle; }
.chip svg { display: block; }

.tools { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: 0 0 .75rem; }
.tools[hidden] { display: none; }
.tools label { color: var(--soft); }
input[type=search] {
  width: 15rem; max-width: 100%; padding: .35rem .6rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--paper); color: inherit; font: inherit;
}
.tools output { color: var(--soft); font-variant-numeric: tabular-nums; }
.tools button {
  padding: .35rem .8rem; border: 1px solid var(--line); border-radius: 6px; background: var(--paper);
  color: var(--accent); font: inherit; cursor: pointer;
}

.scroll { max-height: 80vh; overflow: auto; border: 1px solid var(--line); border-radius: 6px; }
table { width: 100%; border-collapse: separate; border-spacing: 0; font-size: .92rem; }
th, td { padding: .4rem .7rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th {
  position: sticky; top: 0; z-index: 2; background: var(--wash); font-weight: 600; line-height: 1.25;
  vertical-align: bottom;
}
thead th.n { white-space: normal; }
th[scope=row] { position: sticky; left: 0; z-index: 1; background: var(--paper); font-weight: 400; }
thead th:first-child { left: 0; z-index: 3; }
tbody tr:hover > * { background: var(--wash); }
.n { text-align: right; font-variant-numeric: tabular-nums; }
.k { font-family: var(--mono); font-size: .9em; }
th button {
  padding: 0; border: 0; background: none; color: inherit; font: inherit; text-align: inherit; pointer-events: none;
}
.js th button { cursor: pointer; pointer-events: auto; }
.js th button:hover { color: var(--accent); }
.js th button { position: relative; }
.js th button::after { position: absolute; left: 100%; width: .7rem; text-align: center; color: var(--accent); }
.js th[aria-sort=ascending] button::after { content: "\2191"; }
.js th[aria-sort=descending] button::after { content: "\2193"; }

details.model { border-top: 1px solid var(--line); }
details.model:last-of-type { border-bottom: 1px solid var(--line); }
details.model[hidden] { display: none; }
summary { padding: .6rem .2rem; cursor: pointer; }
summary h3 { display: inline; margin: 0 .75rem 0 .25rem; font-size: 1rem; font-weight: 600; overflow-wrap: anywhere; }
summary span { color: var(--soft); font-variant-numeric: tabular-nums; }
details.model > div { padding: 0 .2rem 1.5rem; }
footer { margin-top: 4rem; color: var(--soft); font-size: .85rem; }

@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .tiles { gap: 1rem 2rem; }
  .tiles dd { font-size: 1.3rem; }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .6rem; }
  th[scope=row] { max-width: 40vw; overflow: hidden; text-overflow: ellipsis; }
}
@media print {
  :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --wash: #fff; --accent: #000; }
  @page { margin: 15mm; }
  body { padding: 0; max-width: none; font-size: 9.5pt; }
  .tools, details.model:not([open]) { display: none; }
  .scroll { max-height: none; overflow: visible; border: 0; }
  thead { display: table-header-group; }
  thead th, th[scope=row] { position: static; }
  table { font-size: 7.5pt; }
  th button { display: contents; }  /* Chromium leaves buttons out of a head that repeats */
  .js th button::after { display: none; }
  .pictures { grid-template-columns: repeat(3, 1fr); gap: .8rem; }
  th, td { padding: .15rem .35rem; }
  tr, figure, dl { break-inside: avoid; }
  h2, summary { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
}
)css";

}  // namespace rb::apps
