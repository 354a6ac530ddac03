/** Colours and type of plots and page, in light and dark; told apart also by who sees no red or green. */

export const plotStyle = `
.plot { --paper: #ffffff; --ink: #1b1f24; --soft: #5a6472; --grid: #dfe3e8;
  --c0: #0060b0; --c1: #b34700; --c2: #00755c; --c3: #8a3a86; --c4: #8a6400; --c5: #2b7fae; --c6: #a8324a;
  --f0: #555b63; --f1: #8b919a;
  background: var(--paper); font: 13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; }
@media (prefers-color-scheme: dark) { .plot { --paper: #14171c; --ink: #e6e9ee; --soft: #a2abb8; --grid: #2f353e;
  --c0: #66b2ff; --c1: #ff9d4d; --c2: #3fd0a8; --c3: #d99bd6; --c4: #e6c34a; --c5: #8fd0f0; --c6: #ff8fa3;
  --f0: #b4bac3; --f1: #858c97; } }
.plot text { fill: var(--ink); } .plot .title { font-size: 15px; font-weight: 600; }
.plot .end { text-anchor: end; } .plot .mid { text-anchor: middle; }
.plot .grid { stroke: var(--grid); } .plot .axis { stroke: var(--soft); fill: none; }
.plot .line { fill: none; stroke: var(--c); stroke-width: 2; }
.plot .whisker { fill: none; stroke: var(--c); stroke-width: 1.3; opacity: 0.75; }
.plot .mark { fill: var(--c); stroke: var(--paper); stroke-width: 1; }
${Array.from({ length: 7 }, (_, i) => `.plot .colour${i} { --c: var(--c${i}); }`).join(' ')}
.plot .floor0 { --c: var(--f0); } .plot .floor1 { --c: var(--f1); }
`

export const pageStyle = `
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --soft: #5a6472; --rule: #d5dae1; --stripe: #f4f6f8; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e6e9ee; --soft: #a2abb8; --rule: #3a414c; --stripe: #1b1f26; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1720px; padding: 24px 20px 80px; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 0.3em; } h2 { margin: 2.4em 0 0.2em; border-top: 1px solid var(--rule); padding-top: 1em; }
h3 { font-size: 1rem; margin: 1.6em 0 0.3em; }
p { max-width: 65em; } .soft { color: var(--soft); }
nav { margin: 1em 0; } nav a { margin-right: 1em; white-space: nowrap; }
a { color: inherit; }
figure { margin: 1.4em 0 2em; } figcaption { max-width: 46em; margin-top: 0.5em; }
.wide { overflow-x: auto; } .wide > svg { display: block; width: 100%; min-width: 620px; max-width: 860px; height: auto; }
table { border-collapse: collapse; font-size: 0.82rem; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px 3px 0; text-align: left; vertical-align: top; white-space: nowrap; }
th { white-space: normal; min-width: 4em; vertical-align: bottom; border-bottom: 1px solid var(--rule); font-weight: 600; }
tbody tr:nth-child(even) { background: var(--stripe); }
.number { text-align: right; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0.6em 0; } dt { color: var(--soft); } dd { margin: 0; }
@media print { .wide { overflow: visible; } table { font-size: 0.6rem; } }
@media (max-width: 520px) { body { padding: 16px 12px 60px; } dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.5em; } }
`

export function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
