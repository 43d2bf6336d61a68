// The report's script. Without it everything can be read: it sorts and filters, and takes the pictures of a section out
// of its <noscript>, which is plain text to a browser that runs scripts, when the section is first opened. So a page of
// hundreds of models opens at once, and one without scripts shows all its pictures.
#include "apps/report/page.h"

namespace rb::apps {

const char kReportScript[] = R"js(
'use strict';
(() => {
  document.documentElement.classList.add('js');
  const sections = [...document.querySelectorAll('details.model')];

  const fill = (section) => {
    const pictures = section.open && section.querySelector('noscript');
    if (!pictures) return;
    const template = document.createElement('template');
    template.innerHTML = pictures.textContent;
    pictures.replaceWith(template.content);
  };
  const show = (id) => {
    const section = sections.find((s) => s.id === id);
    if (!section) return;
    section.hidden = false;
    section.open = true;
    fill(section);
    section.scrollIntoView();
  };
  document.addEventListener('toggle', (event) => {
    if (event.target.matches('details.model')) fill(event.target);
  }, true);
  sections.forEach(fill);
  window.addEventListener('hashchange', () => show(location.hash.slice(1)));
  show(location.hash.slice(1));

  for (const [id, open] of [['open-all', true], ['close-all', false]]) {
    document.getElementById(id).addEventListener('click', () => {
      for (const section of sections) if (!section.hidden) section.open = open;
    });
  }
  for (const tools of document.querySelectorAll('.tools')) tools.hidden = false;

  const table = document.getElementById('models');
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  for (const link of table.querySelectorAll('a')) {
    link.addEventListener('click', () => show(link.hash.slice(1)));
  }

  // A cell's number or text; null for one without a value, which stands last either way.
  const valueOf = (row, column, numeric) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    return text === '' ? null : numeric ? Number(text) : text;
  };
  const words = new Intl.Collator('en', { numeric: true });
  const sort = (column) => {
    const head = heads[column];
    const numeric = head.classList.contains('n');
    const first = numeric ? 'descending' : 'ascending';
    const second = numeric ? 'ascending' : 'descending';
    const order = head.getAttribute('aria-sort') === first ? second : first;
    const sign = order === 'ascending' ? 1 : -1;
    const keyed = rows.map((row, i) => [valueOf(row, column, numeric), i, row]);
    keyed.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j;
      return sign * (numeric ? a - b : words.compare(a, b)) || i - j;
    });
    for (const other of heads) other.setAttribute('aria-sort', other === head ? order : 'none');
    body.append(...keyed.map(([, , row]) => row));
  };
  heads.forEach((head, i) => head.querySelector('button').addEventListener('click', () => sort(i)));

  const filter = document.getElementById('filter');
  const count = document.getElementById('count');
  const total = count.textContent;
  const asRna = (text) => text.replaceAll('t', 'u');
  const keys = rows.map((row) => row.dataset.key.toLowerCase());
  filter.addEventListener('input', () => {
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, i) => {
      const fits = keys[i].includes(wanted) || asRna(keys[i]).includes(asRna(wanted));
      row.hidden = !fits;
      shown += fits;
      const section = document.getElementById(row.dataset.section);
      if (section) section.hidden = !fits;
    });
    count.textContent = wanted === '' ? total : `${shown} of ${total}`;
  });
})();
)js";

}  // namespace rb::apps
