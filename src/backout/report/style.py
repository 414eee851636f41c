"""How the page looks: on a screen, a phone and paper, light and dark; nothing is loaded from anywhere."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><span class="badge {tone}">{badge}</span><span class="facts">{facts}</span></header>
<main>
{body}</main>
</body>
</html>
"""

STYLE = """
:root {
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2330; --soft: #5a6675; --line: #dde2e8; --code: #eef1f5;
  --good: #0f7b3f; --warn: #96600a; --bad: #b3261e; --calm: #44546a; --on: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1a2029; --ink: #dfe5ec; --soft: #98a4b3; --line: #2d3642; --code: #242c37;
    --good: #5fd08f; --warn: #f0b84d; --bad: #ff8a80; --calm: #a9b8cc; --on: #12161c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; overflow-wrap: anywhere; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; padding-top: 1.75rem; }
.badge { padding: .3rem .9rem; border-radius: 999px; font-weight: 650; color: var(--on);
  background: var(--calm); }
.badge.good { background: var(--good); }
.badge.warn { background: var(--warn); }
.badge.bad { background: var(--bad); }
.facts { color: var(--soft); font-size: .9rem; }
main { padding-bottom: 3rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 1rem 0 .75rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .6rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
p { margin: .5rem 0; }
ul { list-style: none; margin: .5rem 0; padding: .35rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; }
li { padding: .35rem 0; } li + li { border-top: 1px solid var(--line); }
li > strong:first-child { color: var(--soft); font-weight: 550; margin-right: .35rem; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .875em; }
code { background: var(--code); padding: .1em .35em; border-radius: 4px; }
pre { margin: .4rem 0 .9rem; padding: .7rem 1rem; overflow-x: auto; background: var(--code);
  border-left: 4px solid var(--calm); border-radius: 4px; font-size: 1rem; }
pre code { background: none; padding: 0; }
.wide { overflow-x: auto; margin: .6rem 0; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line);
  overflow-wrap: break-word; min-width: 4.5rem; }
th { border-top: 0; color: var(--soft); font-weight: 600; white-space: nowrap; }
td:first-child { min-width: 2rem; }
td code { white-space: nowrap; }
td.good, td.warn, td.bad { font-weight: 650; white-space: nowrap; }
td.good { color: var(--good); } td.warn { color: var(--warn); } td.bad { color: var(--bad); }
@media (min-width: 40rem) {
  li:has(> strong:first-child) { padding-left: 12rem; text-indent: -12rem; }
  li > strong:first-child { display: inline-block; width: 12rem; margin: 0; padding-right: .75rem;
    text-indent: 0; vertical-align: top; }
}
@media (max-width: 40rem) {
  body { font-size: 15px; } h1 { font-size: 1.35rem; }
  header, main { padding-left: .8rem; padding-right: .8rem; }
  th, td { padding: .4rem .5rem; } table { min-width: 46rem; }
}
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --code: #f2f2f2;
    --good: #0f7b3f; --warn: #8a5a00; --bad: #b3261e; --calm: #44546a; --on: #fff; }
  body { font-size: 10pt; } header, main { max-width: none; padding-left: 0; padding-right: 0; }
  .badge { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide { overflow: visible; border-radius: 0; } table { font-size: 8pt; }
  th, td { padding: 3pt 4pt; min-width: 0; }
  h2 { break-after: avoid; } tr, pre, li { break-inside: avoid; } pre { white-space: pre-wrap; }
}
"""
