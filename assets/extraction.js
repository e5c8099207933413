// Tables out of files: a page over the chat with the tables there are, a new one, and the grid of one of them.
// Knows: the addresses of tables.py. Names of files and whatever stands in a cell are untrusted: textContent only.
(() => {
  const LOOK_MS = 700;
  const SAVED = [['csv', 'Save as CSV'], ['xlsx', 'Save as XLSX'], ['json', 'Save as JSON']];
  const EXAMPLE = 'number, date (date), supplier, total (number)';
  const MARKS = {
    verified: ['✓', 'These words are on the page and hold the value.'],
    unlike: ['!', 'These words are on the page, but the value is not in them. Look at it yourself.'],
    missing: ['?', 'These words were not found in the file. Look at it yourself.'],
    seen: ['◐', 'Read off a picture by the model. The program cannot check it.'],
  };
  const LEGEND = { verified: 'on its page', unlike: 'not in the quoted words', missing: 'words not found', seen: 'read off a picture' };
  const { make, press, sure, theirs } = window.glmchat;
  const tell = (words) => { told.textContent = words || ''; };

  // --- the page ---
  const dialog = make('dialog', 'tables'), head = make('header'), told = make('p', 'told'), body = make('div', 'body');
  dialog.setAttribute('aria-label', 'Tables from files');
  told.setAttribute('role', 'status');
  head.append(make('h2', '', 'Tables from files'), press('Close', () => dialog.close()));
  dialog.append(head, told, body);

  // --- talking to the app ---
  let shown = null;  // the table on the screen, as it was told; null: the list
  let seen = -1, timer = 0, turn = 0;
  async function ask(address, how) {
    let answer, value;
    try {
      answer = await fetch(address, how);
      value = await answer.json();
    } catch { throw new Error('The app does not answer. Is it still running?'); }
    if (!answer.ok) throw new Error(value.told || 'The app refused this. Reload the page.');
    return value;
  }
  const order = (act, more = {}) => ask('/tables', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ act, ...more }),
  });
  async function trying(work) {
    try { return await work(); } catch (error) { tell(error.message); return null; }
  }

  // --- files: each is sent by itself ---
  async function send(id, files) {
    const lost = [];
    for (const [n, file] of files.entries()) {
      tell(`Adding file ${n + 1} of ${files.length}…`);
      try {
        const headers = { 'x-file-name': encodeURIComponent(file.name) };
        await ask(`/tables/${id}/files`, { method: 'POST', headers, body: file });
      } catch (error) { lost.push(`${file.name}: ${error.message}`); }
    }
    tell(lost.join(' '));
    return files.length - lost.length;
  }

  function chooser(then) {
    const input = make('input');
    Object.assign(input, { type: 'file', multiple: true, hidden: true });
    input.addEventListener('change', () => { then([...input.files]); input.value = ''; });
    return input;
  }

  // --- a new table ---
  let chosen = [], begun = false;  // begun: files are on their way; what is chosen meanwhile stays for the next table
  const fields = make('textarea', 'columns'), row = make('input'), drop = make('div', 'drop'), picked = make('ul', 'picked');
  const fill = press('Fill the table', begin, 'main');
  Object.assign(fields, { rows: 3, placeholder: EXAMPLE, spellcheck: false });
  fields.setAttribute('aria-label', 'Columns');
  Object.assign(row, { placeholder: 'One row for each invoice', maxLength: 2000 });
  row.setAttribute('aria-label', 'What a row is; may be left out');

  function fresh() {
    const node = make('section', 'new'), input = chooser(add), line = make('div', 'row');
    const hint = make('p', 'hint', 'Their names, with commas between. In brackets what belongs there: number, date, yes/no, words to choose from as open | paid, or a hint. A JSON schema will do as well.');
    const words = make('p', '', 'Drop files here, or');
    words.append(' ', press('choose them', () => input.click(), 'link'));
    drop.replaceChildren(words, make('p', 'hint', 'PDF, pictures, Word, Excel, slides, web pages, text. As many as you like.'), input);
    line.append(fill, press('Try it with invoices', () => { fields.value = EXAMPLE; fields.focus(); }));
    node.append(window.glmchat.unable('unable'), make('h3', '', 'Columns'), fields, hint, make('h3', '', 'What a row is; may be left out'), row, make('h3', '', 'Files'), drop, picked, line);
    list();
    return node;
  }
  function add(files) {
    chosen = [...chosen, ...files];
    list();
  }
  function list() {
    picked.replaceChildren(...chosen.map((file) => {
      const node = make('li'), away = press('×', () => { chosen = chosen.filter((one) => one !== file); list(); }, 'away');
      away.setAttribute('aria-label', `Remove ${file.name}`);
      node.append(theirs(make('span', '', file.name)), away);
      return node;
    }));
    fill.disabled = begun || !chosen.length;
  }
  async function begin() {
    const files = chosen;
    begun = fill.disabled = true;
    await trying(async () => {
      const made = await order('new', { columns: fields.value || '', question: row.value });
      if (!made.id) return tell(made.told);
      const came = await send(made.id, files), lost = told.textContent;
      chosen = chosen.filter((one) => !files.includes(one));
      if (came) await order('start', { id: made.id });
      await open(made.id);
      tell(lost);
    });
    begun = false;
    list();
  }

  // --- the list ---
  async function home() {
    const now = ++turn;
    clearTimeout(timer);
    shown = null;
    tell('');
    const value = await trying(() => ask('/tables'));
    if (!value || now !== turn) return;
    body.replaceChildren(fresh());
    if (!value.tables.length) return;
    const earlier = make('ul', 'earlier');
    earlier.append(...value.tables.map(entry));
    body.append(make('h3', '', 'Earlier tables'), earlier);
  }
  function entry(table) {
    const node = make('li'), title = theirs(press(table.title, () => trying(() => open(table.id)), 'open'));
    node.append(title, counted(table), make('span', 'when', table.when));
    if (table.running) node.append(make('span', 'tag', 'being filled'));
    return node;
  }
  function counted({ files, done, failed }) {
    const node = make('span', 'count', `${done} of ${files} files`);
    if (failed) node.append(make('span', 'bad', `${failed} failed`));
    return node;
  }

  // --- one table ---
  const parts = {};  // what changes of it
  async function open(id) {
    const now = ++turn;
    clearTimeout(timer);
    const { table } = await ask(`/tables/${id}`);
    if (now !== turn) return;
    shown = table;
    draw();
    look();
  }
  function look() {
    clearTimeout(timer);
    if (shown?.now && dialog.open) timer = setTimeout(follow, LOOK_MS);
  }
  async function follow() {
    const now = turn, id = shown.id;
    const value = await trying(() => ask(`/tables/${id}?after=${seen}`));
    if (now !== turn || !shown) return;
    if (value) {
      shown = value.table;
      for (const file of shown.list) place(file);
      state();
    }
    look();
  }
  async function act(name) {
    await trying(async () => {
      const answer = await order(name, { id: shown.id });
      await open(shown.id);
      tell(answer.told);
    });
  }
  async function more(files) {
    const id = shown.id;
    await send(id, files);
    const lost = told.textContent;
    await trying(() => open(id));
    tell(lost);
  }

  function draw() {
    seen = -1;
    const top = make('div', 'top'), about = make('div', 'about'), tools = make('div', 'row'), frame = make('div', 'frame');
    parts.progress = make('p', 'progress');
    parts.bar = make('div', 'bar');
    parts.bar.append(make('i'));
    parts.input = chooser(more);
    parts.tools = tools;
    parts.proof = make('aside', 'proof');
    parts.proof.setAttribute('aria-live', 'polite');
    parts.legend = make('p', 'legend');
    parts.body = new Map();
    parts.grid = grid();
    about.append(theirs(make('h3', 'title', shown.title)));
    if (shown.question) about.append(theirs(make('p', 'hint', shown.question)));
    top.append(press('All tables', home, 'back'), about);
    for (const [mark, words] of Object.entries(LEGEND)) {
      const pair = make('span', 'pair');
      pair.append(sign(mark), make('span', '', words));
      parts.legend.append(pair);
    }
    frame.append(parts.grid);
    body.replaceChildren(top, parts.progress, parts.bar, tools, parts.input, frame, parts.proof, parts.legend);
    for (const file of shown.list) place(file);
    state();
  }

  function state() {
    const { now, done, failed, files, ended } = shown, waiting = files - done - failed, kinds = [];
    parts.progress.replaceChildren();
    parts.bar.hidden = !now;
    parts.bar.firstElementChild.style.width = `${(100 * (done + failed)) / Math.max(1, files)}%`;
    if (now) {
      if (now.name) parts.progress.append(make('span', '', `File ${now.number} of ${now.files}`), theirs(make('b', '', now.name)));
      parts.progress.append(make('span', '', now.name ? now.stage : 'Beginning'), make('span', '', now.share), make('span', '', now.left));
    } else {
      parts.progress.append(counted(shown));
      if (ended) parts.progress.append(make('span', 'bad', ended));
    }
    if (now) kinds.push(press('Stop', () => act('stop')));
    if (!now && waiting) kinds.push(press(done + failed ? 'Go on' : 'Begin', () => act('start'), 'main'));
    if (!now && failed) kinds.push(press('Ask failed files again', () => act('again')));
    if (done) kinds.push(...SAVED.map(([kind, words]) => press(words, () => window.glmchat.download(`/tables/${shown.id}/save/${kind}`))));
    kinds.push(press('Add files', () => parts.input.click()));
    if (!now) kinds.push(sure('Delete', 'Really delete this table?', async () => { await trying(() => order('delete', { id: shown.id })); home(); }));
    const names = kinds.map((node) => node.textContent).join();
    if (names !== parts.names || !parts.tools.childElementCount) parts.tools.replaceChildren(...kinds);  // one that is about to be pressed stays
    parts.names = names;
  }

  // --- the grid: a body of rows for each file ---
  function grid() {
    const node = make('table'), first = make('thead'), line = make('tr');
    node.setAttribute('role', 'grid');
    node.setAttribute('aria-label', 'Table');
    line.append(make('th', '', 'File'), ...shown.columns.map((column) => theirs(make('th', column.kind, column.name))));
    for (const cell of line.children) cell.scope = 'col';
    first.append(line);
    node.append(first);
    node.addEventListener('keydown', move);
    node.addEventListener('click', (event) => choose(event.target.closest('td.cell')));
    node.addEventListener('dblclick', (event) => { if (event.target.closest('td.cell')) page(); });
    return node;
  }
  function place(file) {
    seen = Math.max(seen, file.finished);
    const old = parts.body.get(file.position), node = make('tbody');
    node.append(...(file.rows.length ? file.rows.map((cells, n) => line(file, cells, n)) : [bare(file)]));
    old ? old.replaceWith(node) : parts.grid.append(node);
    parts.body.set(file.position, node);
    if (!parts.grid.querySelector('[tabindex="0"]')) parts.grid.querySelector('td.cell')?.setAttribute('tabindex', '0');
  }
  function named(file, n) {
    const node = make('th'), name = theirs(make('span', 'file', n ? '' : file.name));
    node.scope = 'row';
    node.title = file.name;
    node.append(name);
    if (!n && file.problem && file.rows.length) node.append(make('span', 'note', file.problem));
    return node;
  }
  function line(file, cells, n) {
    const node = make('tr');
    node.append(named(file, n), ...cells.map((cell, at) => box(file, cell, shown.columns[at])));
    return node;
  }
  function bare(file) {
    const node = make('tr'), words = make('td', file.state === 'failed' ? 'whole lost' : 'whole', file.state === 'waiting' ? 'Waits' : file.problem || 'Nothing was found in it.');
    words.colSpan = shown.columns.length;
    node.append(named(file, 0), words);
    return node;
  }
  function sign(mark) {
    const node = make('i', `sign ${mark}`, MARKS[mark][0]);
    node.setAttribute('aria-hidden', 'true');
    return node;
  }
  const written = (value) => (typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value));
  function box(file, cell, column) {
    const node = make('td', `cell ${column.kind} ${cell.mark}`);
    node.setAttribute('role', 'gridcell');
    node.tabIndex = -1;
    node.proof = { file, cell, column };
    if (cell.mark === 'empty') return node;
    const held = make('div', 'held'), value = make('span', 'value', written(cell.value));
    if (typeof cell.value !== 'boolean') theirs(value);
    held.append(value, sign(cell.mark));
    node.append(held);
    node.setAttribute('aria-description', MARKS[cell.mark][1]);
    return node;
  }

  // --- a cell: its evidence below, its page in the viewer ---
  let current = null;
  function choose(node) {
    if (!node) return;
    for (const one of parts.grid.querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
    current?.classList.remove('chosen');
    current = node;
    node.classList.add('chosen');
    node.tabIndex = 0;
    node.focus();
    prove(node.proof);
    if (!document.documentElement.classList.contains('viewing')) return;
    page();
    node.focus();  // the viewer follows, and the arrows go on here
  }
  function prove({ file, cell, column }) {
    const { proof } = parts;
    proof.replaceChildren(theirs(make('b', '', column.name)));
    if (cell.mark === 'empty') return proof.append(make('span', '', 'The model found no value for this in the file.'));
    const where = make('span', 'where');
    if (cell.quote) proof.append(theirs(make('q', '', cell.quote)));
    proof.append(make('span', `says ${cell.mark}`, MARKS[cell.mark][1]));
    where.append(theirs(make('span', '', `${file.name}${cell.label ? `, ${cell.label}` : ''}`)));
    if (file.document) where.append(press('Show the page', page));
    proof.append(where);
    if (cell.mark === 'seen' && cell.box.length) outline(file, cell);
  }
  function page() {
    if (!current?.proof.file.document) return;
    const { file, cell, column } = current.proof, looked = cell.mark === 'verified' || cell.mark === 'unlike';
    const about = looked || cell.mark === 'missing' ? { number: column.name, verified: looked, start: cell.start, end: cell.end, words: cell.quote } : {};
    window.glmchat.view?.({ document: file.document, title: file.name, page: cell.page || 1, ...about }, current);
  }
  // Of a picture: the page, small, with the place that the model named.
  async function outline(file, cell) {
    const answer = await fetch(`/pages/${file.document}/${cell.page}/picture?long=1000`).catch(() => null);
    if (!answer?.ok || current?.proof.cell !== cell) return;
    const frame = make('span', 'picture'), image = make('img'), mark = make('i'), [x1, y1, x2, y2] = cell.box;
    const address = URL.createObjectURL(await answer.blob());
    image.addEventListener('load', () => URL.revokeObjectURL(address));
    Object.assign(image, { alt: '', src: address });
    Object.assign(mark.style, { left: `${x1 / 10}%`, top: `${y1 / 10}%`, width: `${(x2 - x1) / 10}%`, height: `${(y2 - y1) / 10}%` });
    frame.append(image, mark);
    parts.proof.append(frame);
  }
  function move(event) {
    const cell = event.target.closest('td.cell');
    if (!cell || event.metaKey || event.altKey) return;
    const rows = [...parts.grid.querySelectorAll('tr:has(td.cell)')], at = rows.indexOf(cell.parentElement);
    const cells = (n) => [...rows[n].querySelectorAll('td.cell')], column = cells(at).indexOf(cell);
    const last = rows.length - 1, wide = cells(at).length - 1;
    const to = {
      ArrowRight: [at, Math.min(wide, column + 1)], ArrowLeft: [at, Math.max(0, column - 1)],
      ArrowDown: [Math.min(last, at + 1), column], ArrowUp: [Math.max(0, at - 1), column],
      Home: [event.ctrlKey ? 0 : at, 0], End: [event.ctrlKey ? last : at, wide],
    }[event.key];
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); choose(cell); return page(); }
    if (!to) return;
    event.preventDefault();
    choose(cells(to[0])[to[1]]);
  }

  // --- opening, closing, dropping ---
  function show() {
    if (!dialog.isConnected) document.body.append(dialog);
    document.querySelector('dialog.settings[open]')?.close();
    if (matchMedia('(max-width: 767px)').matches) window.glmchat.closeDrawer?.();
    if (!dialog.open) dialog.show();
    shown ? trying(() => open(shown.id)) : home();
  }
  dialog.addEventListener('close', () => {
    clearTimeout(timer);
    document.querySelector('.viewer[open]')?.close();
    document.querySelector('[data-do=tables]')?.focus();
  });
  addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing || !dialog.open) return;  // the viewer has closed
    if (!document.querySelector(':popover-open, :modal')) dialog.close();
  });
  dialog.addEventListener('dragover', (event) => { event.preventDefault(); drop.classList.add('over'); });
  dialog.addEventListener('dragleave', () => drop.classList.remove('over'));
  dialog.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    const files = [...(event.dataTransfer?.files || [])];
    if (files.length) shown ? more(files) : add(files);
  });
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('[data-do=tables]')) return dialog.open ? dialog.close() : show();
    if (dialog.open && event.target.closest?.('.conv .open, #new-chat, #temporary-chat')) dialog.close();
  }, true);
  Object.assign((window.glmchat ||= {}), { tables: show });
})();
