/** The console's looks: light and dark by the reader's setting, one column on a phone, nothing told by colour alone. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #f4f5f7;
  --card: #ffffff;
  --ink: #1b1f24;
  --soft: #565f6b;
  --line: #d8dde3;
  --accent: #1a5fb4;
  --second: #a04000;
  --good: #1e6b34;
  --warn: #8a5200;
  --warn-ground: #fff4dc;
  --bad: #a51d2d;
  --bad-ground: #fdecee;
  --room: #e3e7ec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b;
    --card: #1d2127;
    --ink: #e8ebef;
    --soft: #a4adb8;
    --line: #343b44;
    --accent: #78aeed;
    --second: #ffb277;
    --good: #7bd88f;
    --warn: #ffcf70;
    --warn-ground: #33290f;
    --bad: #ff99a3;
    --bad-ground: #3a1a1f;
    --room: #2c323a;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0 auto;
  max-width: 72rem;
  padding: 0 1rem 2rem;
  background: var(--ground);
  color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif;
}
h1, h2, h3, p, dl, dd, ol { margin: 0; padding: 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
header {
  display: flex;
  flex-wrap: wrap;
  align-items: baseline;
  gap: .25rem 1rem;
  padding: 1rem 0 .75rem;
}
h1 { font-size: 1.2rem; }
#node { color: var(--soft); flex: 1 1 20rem; overflow-wrap: anywhere; }
#link { font-weight: 600; }
#link.live { color: var(--good); }
#link.gone {
  flex: 1 1 100%;
  padding: .5rem .75rem;
  border: 2px solid var(--bad);
  border-radius: 6px;
  background: var(--bad-ground);
  color: var(--bad);
}
body[data-link=gone] .card { opacity: .7; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding-bottom: .75rem; }
.card {
  margin-bottom: 1rem;
  padding: 1rem;
  border: 1px solid var(--line);
  border-radius: 10px;
  background: var(--card);
}
.card-head { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .75rem; }
h2 { font-size: 1.35rem; overflow-wrap: anywhere; }
h3 { margin: 1rem 0 .35rem; font-size: 1rem; }
.badges { display: flex; flex-wrap: wrap; gap: .3rem; }
.badge {
  padding: 0 .5rem;
  border: 1px solid var(--line);
  border-radius: 999px;
  color: var(--soft);
  font-size: .85rem;
  overflow-wrap: anywhere;
}
.badge:first-child { color: var(--ink); font-weight: 600; }
.reset { margin: .75rem 0; padding: .45rem .75rem; border: 1px solid var(--line); border-radius: 6px; }
.reset.quiet { color: var(--good); }
.reset.running { border-color: var(--warn); background: var(--warn-ground); color: var(--warn); font-weight: 600; }
.reset.stopped { border-color: var(--bad); background: var(--bad-ground); color: var(--bad); font-weight: 600; }
.reset .since { font-size: .85rem; font-weight: 400; }
.reset .since:empty { display: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .5rem; }
.tile { padding: .4rem .6rem; border: 1px solid var(--line); border-radius: 6px; }
dt { color: var(--soft); font-size: .85rem; }
.tile dd { font-size: 1.15rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.gauges { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .5rem 1.25rem; margin-top: .75rem; }
.gauge-row { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 .75rem; font-size: .9rem; }
.gauge-row .label { color: var(--soft); }
.gauge-text { font-variant-numeric: tabular-nums; }
.gauge { flex: 0 0 100%; height: 8px; border-radius: 4px; }
.room { fill: var(--room); }
.fill { fill: var(--accent); }
.fill.high { fill: var(--bad); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem 1.25rem; margin-top: .75rem; }
.plot-head, .plot-foot { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 0 .75rem; }
.plot-head h3 { margin: 0; font-size: .9rem; font-weight: 400; color: var(--soft); }
.plot .now { font-variant-numeric: tabular-nums; }
.plot svg { display: block; width: 100%; height: 56px; border-bottom: 1px solid var(--line); }
.plot-foot { color: var(--soft); font-size: .8rem; }
.line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; vector-effect: non-scaling-stroke; }
.line-2 { stroke: var(--second); stroke-dasharray: 5 4; }
.base { stroke: none; }
.table { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
caption { padding-bottom: .3rem; color: var(--soft); font-size: .85rem; text-align: left; }
th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-size: .85rem; font-weight: 400; }
tbody th { font-variant-numeric: tabular-nums; }
.address, .number { font-variant-numeric: tabular-nums; }
td.number, thead th:last-child { text-align: right; padding-right: 0; }
.name, .address { overflow-wrap: anywhere; }
tr.sequencer .part { font-weight: 600; }
tr.self th { box-shadow: inset 3px 0 var(--accent); padding-left: .5rem; }
tr:not(.self) > th:first-child { padding-left: .5rem; }
.time-line { list-style: none; max-height: 24rem; overflow-y: auto; }
.entry { display: flex; gap: .6rem; padding: .35rem 0; border-bottom: 1px solid var(--line); }
.entry:last-child { border-bottom: 0; }
.sign {
  flex: 0 0 1.6rem;
  height: 1.6rem;
  border: 1px solid var(--line);
  border-radius: 50%;
  color: var(--soft);
  line-height: 1.5rem;
  text-align: center;
}
.entry.reset { margin: 0; padding: .35rem 0; border-width: 0 0 1px; border-radius: 0; }
.entry.reset .sign, .entry.suspect .sign, .entry.slow .sign { border-color: var(--warn); color: var(--warn); }
.entry.split .sign, .entry.expelled .sign, .entry.stopped .sign { border-color: var(--bad); color: var(--bad); }
.entry div { min-width: 0; overflow-wrap: anywhere; }
.place, .steps { color: var(--soft); font-size: .85rem; font-variant-numeric: tabular-nums; }
details { margin-top: 1rem; }
summary { cursor: pointer; }
.parameters { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .5rem; padding-top: .5rem; }
form { margin-top: .75rem; }
input, button { padding: .2rem .5rem; font: inherit; }
.empty { padding: 1rem 0; }
.card.over { border-style: dashed; }
footer { color: var(--soft); font-size: .85rem; }
@media (max-width: 36rem) {
  body { padding: 0 .6rem 1.5rem; }
  .card { padding: .75rem .65rem; border-radius: 8px; }
  .tiles { grid-template-columns: repeat(2, 1fr); }
  table, tbody, tr, th, td { display: block; }
  caption { display: block; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  tr { position: relative; padding: .35rem 5rem .35rem 2.25rem; border-bottom: 1px solid var(--line); }
  th, td, tr:not(.self) > th:first-child, tr.self th { padding: 0; border: 0; }
  tbody th { position: absolute; left: .5rem; }
  tr.self th { box-shadow: none; }
  tr.self { box-shadow: inset 3px 0 var(--accent); }
  .address { color: var(--soft); font-size: .9rem; }
  td.number { position: absolute; top: .35rem; right: 0; text-align: right; }
  td.number::after { content: ' behind'; color: var(--soft); font-size: .8rem; }
}
`
