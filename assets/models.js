// The models page: a dialog with every model, what fits, what is here, and what can be done with each.
// Names of models and folders are somebody's own: textContent only. The app is asked over plain addresses.
(() => {
  const { make, press, theirs: own } = window.glmchat;
  const set = (node, text) => {
    node.hidden = !text;
    if (node.textContent !== (text || '')) node.textContent = text || '';
  };
  const LABELS = {
    choose: 'Use this', download: 'Download', resume: 'Resume', pause: 'Pause', cancel: 'Cancel', verify: 'Verify', delete: 'Delete', memory: 'Memory…', remove: 'Remove from the list',
  };
  const SURE = { remove: 'Really remove it?', delete: 'Really delete it?', cancel: 'Throw away what was fetched?' };
  const SURE_MS = 5000, LOOK_MS = 700;

  const dialog = make('dialog', 'settings models'), head = make('header'), told = make('p', 'told');
  const body = make('div', 'body'), change = make('div', 'change'), list = make('ul', 'list'), room = make('p', 'hint');
  const measure = make('div', 'measure'), where = make('select');
  dialog.setAttribute('aria-label', 'Models');
  told.setAttribute('role', 'status');

  // --- talking to the app ---
  let timer = 0;
  async function ask(act, more = {}) {
    clearTimeout(timer);
    try {
      const body = JSON.stringify({ act, ...more });
      const how = act ? { method: 'POST', headers: { 'content-type': 'application/json' }, body } : {};
      const answer = await fetch('/models', how);
      const value = await answer.json();
      if (value.lines) draw(value, act);
      else set(told, value.told);
    } catch {
      set(told, 'The app does not answer. Is it still running?');
    }
    clearTimeout(timer);
    if (dialog.open) timer = setTimeout(ask, LOOK_MS);
    if (act) window.glmchat.look?.();
  }

  // --- one model ---
  const lines = new Map();
  function line(name) {
    const node = make('li', 'model'), top = make('div', 'about');
    const parts = {
      node, title: own(make('b')), size: make('span', 'size'), licence: make('span', 'size'),
      best: make('span', 'model-tag', 'Best for this computer'), now: make('span', 'model-tag current', 'Answers now'),
      words: make('p', 'fit'), folder: own(make('p', 'folder')), doing: make('p', 'doing'), bar: make('div', 'bar'),
      error: make('p', 'error'), row: make('div', 'row'), can: '',
    };
    parts.bar.append(make('i'));
    top.append(parts.title, parts.best, parts.now, parts.size, parts.licence);
    node.append(top, parts.words, parts.folder, parts.doing, parts.bar, parts.error, parts.row);
    lines.set(name, parts);
    return parts;
  }

  // --- how it is run: unfolded under one model at a time ---
  let unfolded = null;
  function unfold(name) {
    const was = unfolded?.name;
    unfolded?.panel.node.remove();
    for (const node of list.querySelectorAll('[data-act=memory]')) node.setAttribute('aria-expanded', 'false');
    unfolded = null;
    if (was === name) return;
    const parts = lines.get(name), panel = window.glmchat.memory(name, ask);
    parts.node.append(panel.node);
    parts.row.querySelector('[data-act=memory]')?.setAttribute('aria-expanded', 'true');
    unfolded = { name, panel };
  }

  function button({ name, title, fits }, act) {
    const node = press(LABELS[act], () => {
      if (act === 'memory') return unfold(name);
      if (!SURE[act] || node.dataset.sure) return void ask(act, act === 'download' ? { name, to: where.value } : { name });
      node.dataset.sure = 'yes';
      node.textContent = SURE[act];
      setTimeout(() => { delete node.dataset.sure; node.textContent = LABELS[act]; }, SURE_MS);
    });
    node.dataset.act = act;
    node.setAttribute('aria-description', title);
    node.classList.toggle('main', fits !== 'no' && (act === 'choose' || act === 'download' || act === 'resume'));
    return node;
  }

  function fill(parts, value) {
    parts.title.translate = !value.theirs;
    set(parts.title, value.title);
    set(parts.size, value.size);
    set(parts.licence, value.licence && `Licence: ${value.licence}`);
    set(parts.words, value.words);
    set(parts.folder, value.folder);
    set(parts.doing, value.doing);
    set(parts.error, value.error);
    parts.best.hidden = !value.best;
    parts.now.hidden = !value.answers;
    parts.bar.hidden = !value.share;
    parts.bar.firstElementChild.style.width = `${100 * value.share}%`;
    parts.words.dataset.fits = value.fits;
    parts.node.classList.toggle('unsupported', Boolean(value.unsupported));
    const can = value.can.join();
    if (can === parts.can) return;  // a button that is being looked at stays
    parts.can = can;
    parts.row.replaceChildren(...value.can.map((act) => button(value, act)));
  }

  // --- the change of the model ---
  let shown = '';
  function switching(value) {
    const now = value.switch, title = value.lines.find((one) => one.name === now?.name)?.title || '';
    const key = JSON.stringify([now, title]);
    if (key === shown) return;
    shown = key;
    change.replaceChildren();
    if (!now || (now.state === 'done' && !now.words)) return;
    const words = make('p'), bar = make('div', 'bar');
    if (now.state === 'waiting' || now.state === 'loading') {
      words.textContent = now.state === 'loading' ? `Loading ${title}: ${Math.round(100 * now.share)} %` : `${title} is loaded as soon as the answer under way has ended…`;
      bar.append(make('i'));
      bar.firstElementChild.style.width = `${100 * now.share}%`;
      return change.append(words, bar);
    }
    words.className = 'error';
    words.textContent = now.words;
    change.append(words);
    if (now.state !== 'refused') return;
    const risk = make('p', 'hint', 'Loaded all the same, the computer may become slow, freeze or restart. Save your work in other programs first.');
    if (now.step) change.append(step(now.step));
    change.append(risk, press('Load it all the same', () => ask('choose', { name: now.name, force: true, switches: now.switches })));
  }

  // What a refusal offers: a button that does it, or what to type.
  function step({ label, act, name, switches, command }) {
    const row = make('div', 'row');
    if (command) {
      row.append(make('span', '', label), own(make('code', '', command)), press('Copy', () => navigator.clipboard?.writeText(command)));
      return row;
    }
    const button = press(label, () => ask(act, switches ? { name, switches } : { name }));
    button.classList.add('main');
    row.append(button);
    return row;
  }

  // --- what is modelled until it is measured ---
  let measured = '';
  function measuring({ state, done, total, error }) {
    const key = JSON.stringify([state, done, total, error]);
    if (key === measured) return;
    measured = key;
    measure.replaceChildren();
    if (state === 'offer') {
      measure.append(
        make('p', 'hint', 'What a computation takes for a moment is estimated here. Measured once, the sums are nearer to the truth; the model rests meanwhile.'),
        press('Measure this computer: about a minute', () => ask('measure')),
      );
    } else if (state === 'running') {
      const bar = make('div', 'bar');
      bar.append(make('i'));
      bar.firstElementChild.style.width = `${100 * done / (total || 1)}%`;
      measure.append(make('p', '', 'Measuring this computer…'), bar, press('Stop', () => ask('stop_measuring')));
    } else if (state === 'done') measure.append(make('p', 'hint', 'This computer was measured. The next load is planned with it.'));
    else if (state === 'failed') measure.append(make('p', 'error', error));
  }

  function targets(places) {
    where.parentElement.hidden = places.length < 2;
    const key = JSON.stringify(places);
    if (where.dataset.key === key) return;
    where.dataset.key = key;
    const kept = where.value;
    where.replaceChildren(...places.map((folder, n) => {
      const option = own(make('option', '', folder));
      option.value = folder;
      option.selected = kept ? folder === kept : n === 0;
      return option;
    }));
  }

  let last = '';
  function draw(value, act) {
    if (value.told || act) set(told, value.told);
    switching(value);
    measuring(value.measuring);
    targets(value.places);
    const now = value.switch ? `${value.switch.name} ${value.switch.state}` : '';
    if (now !== last && value.switch?.state === 'done') unfolded?.panel.again();  // what was refused stays chosen
    last = now;
    const nodes = value.lines.map((one) => {
      const parts = lines.get(one.name) || line(one.name);
      fill(parts, one);
      return parts.node;
    });
    if (nodes.length !== list.children.length || nodes.some((node, n) => list.children[n] !== node)) list.replaceChildren(...nodes);
    set(room, value.room);
  }

  // --- the dialog ---
  function folder() {
    const row = make('div', 'row'), field = make('input');
    Object.assign(field, { placeholder: '/Volumes/Disk/GLM-4.5V-4bit', spellcheck: false });
    field.setAttribute('aria-label', 'Folder of a model');
    const add = () => field.value.trim() && ask('add', { name: field.value });
    field.addEventListener('keydown', (event) => { if (event.key === 'Enter') add(); });
    row.append(field, press('Add folder', add));
    return row;
  }

  head.append(make('h2', '', 'Models'), press('Done', () => dialog.close()));
  const intro = make('p', 'hint', 'Downloads come from the model hub, huggingface.co, and can be stopped at any moment; they go on where they ended. Nothing else leaves this computer.');
  const target = make('label', 'line');
  where.setAttribute('aria-label', 'Downloads go to');
  target.append(make('span', 'name', 'Downloads go to'), where);
  body.append(change, measure, list, target, make('h3', '', 'A model that is on this computer already'), folder(), room, intro);
  dialog.append(head, told, body);
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => clearTimeout(timer));

  function open() {
    if (!dialog.isConnected) document.body.append(dialog);
    document.querySelector('dialog.settings[open]')?.close();
    set(told, '');
    dialog.showModal();
    ask();
  }
  Object.assign((window.glmchat ||= {}), { models: open });
})();
