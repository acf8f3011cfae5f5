"""How an exported page looks: on a screen, light or dark, and on A4."""

STYLE = """
:root { color-scheme: light dark; --line: rgba(128, 128, 128, 0.35); --background: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --background: #14171c; } }
body { font: 15px/1.4 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--background); color: light-dark(#1c1f26, #e8eaed); }
h1 { margin: 0; font-size: 1.6rem; font-weight: 600; }
.of { margin: 0.2rem 0 1.2rem; }
.headline { display: flex; flex-wrap: wrap; gap: 0.8rem 2.2rem; margin: 0 0 1.2rem; }
.headline dt, .headline dd + dd { font-size: 0.85rem; }
.headline dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
figure { margin: 0 0 1.2rem; }
figure div { overflow-x: auto; }
figure div svg { width: 100%; min-width: 32rem; height: auto; display: block; }
figure div svg * { cursor: default !important; }
figcaption { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; font-size: 0.85rem; }
figcaption svg { width: 0.75em; height: 0.75em; margin-right: 0.4em; }
.scrolls { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; white-space: nowrap;
  font-variant-numeric: tabular-nums; margin-bottom: 1.2rem; }
table.narrow { width: auto; }
th, td { padding: 0.25rem 0.6rem; text-align: right; font-weight: 400;
  border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; padding-left: 0; }
thead tr + tr th:first-child { text-align: right; padding-left: 0.6rem; }
td:nth-child(even) { padding-left: 1.4rem; }
thead th { font-weight: 600; vertical-align: bottom; }
thead tr + tr th { font-weight: 400; }
.total th, .total td { font-weight: 600; border-top: 2px solid; border-bottom: 0; }
footer { font-size: 0.75rem; border-top: 1px solid var(--line); padding-top: 0.6rem; }
footer dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 0.9rem; margin: 0; }
footer dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) { footer dl { display: block; } footer dt { margin-top: 0.3rem; } }
@page { size: A4 portrait; margin: 13mm 14mm 15mm;
  @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; } }
@media print {
  :root { color-scheme: light; --background: #ffffff; }
  body { margin: 0; padding: 0; max-width: none; font-size: 10pt; }
  h1 { font-size: 15pt; }
  .of { margin-bottom: 8pt; font-size: 9pt; }
  .headline { margin-bottom: 8pt; justify-content: space-between; gap: 0; }
  .headline dt, .headline dd + dd { font-size: 8.5pt; }
  .headline dd { font-size: 14pt; }
  figure, table { margin-bottom: 8pt; }
  .scrolls { overflow: visible; }
  figure div { overflow: visible; }
  table, figcaption { font-size: 8.5pt; }
  th, td { padding: 0.9pt 5pt; }
  tr, figure, table.narrow, footer { break-inside: avoid; }
  .total { break-before: avoid; }
  footer { font-size: 7.5pt; }
}
"""
