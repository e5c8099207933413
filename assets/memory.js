// How a model is run on this computer: switches, what each saves and costs, the sum. A part of the models page.
// Nothing is changed before its button is pressed; the sums come from the app's planner, none is made here.
(() => {
  const { make, press } = window.glmchat;

  let asked = 0;
  async function weigh(panel, more = {}) {
    const turn = ++asked;
    const body = JSON.stringify({ act: 'weigh', name: panel.name, ...more });
    try {
      const answer = await fetch('/models', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      const value = await answer.json();
      if (turn !== asked || !panel.node.isConnected) return;
      if (value.memory) draw(panel, value.memory);
      else panel.node.replaceChildren(make('p', 'error', value.told));
    } catch {
      panel.node.replaceChildren(make('p', 'error', 'The app does not answer. Is it still running?'));
    }
  }

  function changed(panel, what, value) {
    const switches = { ...panel.value.switches };
    let detail = panel.value.detail;
    if (what === 'pictures') detail = value;
    else switches[what] = value;
    Object.assign(panel.value, { switches, detail });  // a look at the copy on its way asks about these too
    weigh(panel, { switches, detail });
  }

  // --- one switch: its ways side by side, each with what it saves ---
  function line(panel, { what, label, cost, ways }) {
    const row = make('fieldset', 'switch'), choices = make('div', 'ways');
    row.dataset.what = what;
    row.append(make('legend', '', label), choices);
    for (const way of ways) {
      const node = press('', () => changed(panel, what, way.value));
      node.append(make('span', '', way.words));
      if (way.saved) node.append(make('small', '', way.saved));
      if (way.fits) node.append(make('small', 'fits', 'fits'));
      node.setAttribute('aria-pressed', String(way.chosen));
      node.dataset.value = String(way.value);
      choices.append(node);
    }
    if (cost) row.append(make('p', 'hint', cost));
    return row;
  }

  // --- the sum ---
  function sum(value) {
    const node = make('div', 'sum'), top = make('div', 'top'), bar = make('div', 'bar'), list = make('ul');
    top.append(make('b', '', 'Together'), make('span', 'words', value.words));
    bar.append(make('i'));
    bar.firstElementChild.style.width = `${Math.min(100, 100 * value.share)}%`;
    for (const item of value.items) {
      const one = make('li');
      one.append(make('span', '', item.name), make('b', '', item.size));
      one.dataset.bytes = item.bytes;
      list.append(one);
    }
    node.dataset.takes = value.takes;
    node.dataset.fits = value.fits;
    node.append(top, bar, make('p', 'verdict', value.verdict));
    if (value.seeing) node.append(make('p', 'hint', value.seeing));
    const more = make('details'), summary = make('summary', '', 'The sum, line by line');
    more.append(summary, list);
    node.append(more);
    return node;
  }

  function slow(panel, { words, state, share, size, error, there }) {
    const node = make('div', 'slow'), row = make('div', 'row');
    node.append(make('p', 'hint', words));
    if (state === 'running') {
      const bar = make('div', 'bar');
      bar.append(make('i'));
      bar.firstElementChild.style.width = `${100 * share}%`;
      node.append(bar);
      row.append(press('Stop', () => panel.ask('stop_preparing')));
      clearTimeout(panel.timer);  // one look at a time, however often the panel is drawn
      panel.timer = setTimeout(() => panel.node.isConnected && weigh(panel, { switches: panel.value.switches, detail: panel.value.detail }), 1000);
    } else if (there) {
      node.append(make('p', 'hint', 'A copy for slow mode is in the list.'));
    } else row.append(press(`Prepare a copy for slow mode (${size})`, () => panel.ask('prepare', { name: panel.name }).then(() => weigh(panel))));
    if (error) node.append(make('p', 'error', error));
    node.append(row);
    return node;
  }

  function draw(panel, value) {
    const focused = document.activeElement?.closest?.('.switch'), what = focused && panel.node.contains(focused) ? focused.dataset.what : '';
    const open = panel.node.querySelector('details')?.open;
    panel.value = value;
    const row = make('div', 'row'), choice = { switches: value.switches, detail: value.detail };
    if (value.best) {
      const best = press('Recommended', () => weigh(panel, value.best));
      best.setAttribute('aria-pressed', String(value.is_best));
      best.setAttribute('aria-description', 'What suits this computer best.');
      row.append(best);
    }
    if (value.here && !value.runs) {
      const words = value.answers ? 'Load again with these' : 'Use it with these';
      const use = press(words, () => panel.ask('choose', { name: panel.name, ...choice }));
      use.classList.add('main');
      row.append(use);
    }
    const nodes = [...value.rows.map((one) => line(panel, one)), sum(value), row];
    if (value.runs) nodes.push(make('p', 'hint', 'The model that answers now is run so.'));
    if (value.slow) nodes.push(slow(panel, value.slow));
    panel.node.replaceChildren(...nodes);
    if (open) panel.node.querySelector('details').open = true;
    if (what) panel.node.querySelector(`[data-what=${what}] [aria-pressed=true]`)?.focus();
  }

  // name: of the model. ask: as models.js asks the app to do something.
  function panel(name, ask) {
    const node = make('section', 'memory'), made = { name, ask, node, value: null };
    node.setAttribute('aria-label', 'Memory');
    queueMicrotask(() => weigh(made));
    return { node, again: () => weigh(made) };
  }
  Object.assign((window.glmchat ||= {}), { memory: panel });
})();
