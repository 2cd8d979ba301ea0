// Tables that can be sorted and filtered, and a served page that loads itself again. Without it the page is complete.
(() => {
  'use strict';
  const tables = new Map();
  const KEPT = 'tickets-report';

  function made(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function valueOf(cell) {
    const given = cell.dataset.value;
    const text = cell.textContent.trim();
    return given === undefined ? text || null : given === '' ? null : Number(given);
  }

  class Table {
    constructor(element) {
      this.element = element;
      this.body = element.tBodies[0];
      this.rows = [...this.body.rows];
      this.heads = [...element.tHead.rows[0].cells];
      this.column = -1;
      this.direction = 'none';
      this.count = made('p', {});
      this.count.setAttribute('role', 'status');
      this.filter = made('input', {type: 'search', id: `filter-${element.id}`, autocomplete: 'off', spellcheck: false});
      this.filter.addEventListener('input', () => this.show());
      this.filter.addEventListener('keydown', event => {
        if (event.key === 'Escape' && this.filter.value) {
          this.filter.value = '';
          this.show();
        }
      });
      const tools = made('div', {className: 'tools'},
                         made('label', {}, `Only rows with `, this.filter), this.count);
      element.closest('.wide').before(tools);
      this.heads.forEach((head, column) => {
        const button = made('button', {type: 'button', id: `sort-${element.id}-${column}`}, ...head.childNodes);
        button.addEventListener('click', () => this.turn(column));
        head.append(button);
      });
      this.tell();
    }

    // The first press sorts, the second turns it round, the third gives back the order of the report.
    turn(column) {
      const first = this.heads[column].dataset.first || 'ascending';
      const second = first === 'ascending' ? 'descending' : 'ascending';
      const now = column === this.column ? this.direction : 'none';
      this.sort(column, {none: first, [first]: second, [second]: 'none'}[now]);
    }

    sort(column, direction) {
      this.column = column;
      this.direction = direction;
      this.heads.forEach(head => head.removeAttribute('aria-sort'));
      let rows = [...this.rows];
      if (direction !== 'none') {
        const sign = direction === 'ascending' ? 1 : -1;
        const valued = rows.map(row => [valueOf(row.cells[column]), row]);
        // What has no value comes last either way; equal ones keep the order of the report.
        valued.sort(([one], [other]) => one === null || other === null ? (one === null) - (other === null) : sign * (
          typeof one === 'number' ? one - other : one.localeCompare(other, 'en', {numeric: true})));
        rows = valued.map(([, row]) => row);
        this.heads[column].setAttribute('aria-sort', direction);
      }
      this.body.append(...rows);
      this.tell();
    }

    show() {
      const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of this.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
      }
      this.tell();
    }

    tell() {
      const shown = this.rows.filter(row => !row.hidden).length;
      const sorted = this.direction === 'none' ? '' : `, sorted by ${this.heads[this.column].textContent}, ${
        this.direction}`;
      this.count.textContent = `${shown} of ${this.rows.length} ${this.element.dataset.rows}${
        this.rows.length === 1 ? '' : 's'}${sorted}`;
    }
  }

  for (const element of document.querySelectorAll('table[data-rows]')) tables.set(element.id, new Table(element));

  // Where the reader was, for the page that is loaded in place of this one.
  function keep() {
    const focus = document.activeElement;
    sessionStorage.setItem(KEPT, JSON.stringify({
      place: [scrollX, scrollY],
      focus: focus && focus.id ? [focus.id, focus.selectionStart ?? null] : null,
      unfolded: [...document.querySelectorAll('details')].map(each => [each.id, each.open]),
      inside: [...document.querySelectorAll('.wide')].map(each => [each.id, each.scrollLeft]),
      tables: [...tables].map(([id, each]) => [id, each.filter.value, each.column, each.direction]),
    }));
  }

  function bring() {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) || 'null');
    sessionStorage.removeItem(KEPT);
    if (!kept) return;
    const there = pairs => pairs.map(([id, ...others]) => [document.getElementById(id), ...others]).filter(([it]) => it);
    for (const [element, open] of there(kept.unfolded)) element.open = open;
    for (const [element, filter, column, direction] of there(kept.tables)) {
      const table = tables.get(element.id);
      if (column < table.heads.length && column >= 0) table.sort(column, direction);
      table.filter.value = filter;
      table.show();
    }
    for (const [element, left] of there(kept.inside)) element.scrollLeft = left;
    for (const [element, caret] of there(kept.focus ? [kept.focus] : [])) {
      element.focus({preventScroll: true});
      if (caret !== null && element.setSelectionRange) element.setSelectionRange(caret, caret);
    }
    history.scrollRestoration = 'manual';
    scrollTo(...kept.place);
  }

  const stamp = document.documentElement.dataset.stamp;
  if (stamp) {
    bring();
    const served = document.getElementById('served');
    const said = served.textContent;
    const ask = async () => {
      try {
        const answer = await fetch('/stamp', {cache: 'no-store'});
        if (!answer.ok) throw new Error(answer.status);
        if (await answer.text() !== stamp) {
          keep();
          location.reload();
          return;
        }
        if (served.textContent !== said) served.textContent = said;
        served.classList.remove('lost');
      } catch {
        const lost = 'bin/report no longer answers: this page is as it was then.';
        if (served.textContent !== lost) served.textContent = lost;
        served.classList.add('lost');
      }
      setTimeout(ask, 2000);
    };
    setTimeout(ask, 2000);
  }
})();
