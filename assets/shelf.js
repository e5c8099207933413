// The documents of this chat and the library: a panel over the chat, a line above the composer that says which of them the
// next question reads, and the way from a document in a question to its pages. Knows: the addresses of lending.py. Titles are untrusted: textContent only.
(() => {
  const { make, press, sure, theirs } = window.glmchat;
  const LOOK = 700;  // ms between two looks while a file is read into the library
  const GONE = 'The app does not answer. Is it still running?';
  const here = () => window.glmchat.here || null;  // the conversation on the page

  const dialog = make('dialog', 'settings shelf'), head = make('header'), told = make('p', 'told'), body = make('div', 'body');
  dialog.setAttribute('aria-label', 'Documents');
  told.setAttribute('role', 'status');

  // --- talking to the app ---
  let timer = 0, asked = 0, ordering = 0, drawn = '', known = [];  // known: this chat's, as they were told last
  async function ask(order) {
    clearTimeout(timer);
    if (ordering && !order) return;  // what is ordered answers with the list too, and a later one
    const now = ++asked, c = here();
    if (order) ++ordering;
    try {
      const how = order ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...order, c }) } : {};
      const answer = await fetch(order ? '/documents' : `/documents${c ? `?c=${encodeURIComponent(c)}` : ''}`, how);
      const value = await answer.json();
      if (order) told.textContent = value.told || '';
      if (order) window.glmchat.measure?.();
      if (now !== asked || !value.chat || c !== here()) return;
      known = value.chat;
      const waits = draw(value);
      if (dialog.open && (waits || value.adding.length || value.chat.some((one) => one.scans.runs))) timer = setTimeout(ask, LOOK);
    } catch {
      if (dialog.open) told.textContent = GONE;
    } finally {
      if (order && !--ordering && c !== here()) ask();
    }
  }

  // --- lines ---
  function facts(one) {
    const node = make('div', 'about'), title = theirs(press(one.title, (from) => open(one, from), 'title'));
    title.setAttribute('aria-haspopup', 'dialog');
    node.append(title, make('p', 'facts', one.facts));
    for (const problem of one.problems) node.append(make('p', 'problem', problem));
    return node;
  }
  function line(list, one, ...more) {
    const node = make('li', 'paper-line');
    node.dataset.line = `${list}-${one.id}`;
    node.append(make('i', `paper-mark paper ${one.kind || ''}`), ...more);
    return node;
  }
  function open(one, from) {
    if (matchMedia('(max-width: 767px)').matches) dialog.close();  // there the page takes all of the window
    window.glmchat.view?.({ document: `${one.sha256}-${one.id}`, title: one.title }, from);
    if (document.querySelector('dialog.viewer[open]')) dialog.close();
  }

  function own(one, temporary) {
    const about = facts(one), row = make('div', 'row'), read = make('label', 'read'), box = make('input');
    Object.assign(box, { type: 'checkbox', checked: one.active });
    box.setAttribute('role', 'switch');
    box.setAttribute('aria-label', 'The next question reads it');
    box.setAttribute('aria-description', one.title);
    box.addEventListener('change', () => ask({ act: box.checked ? 'read' : 'rest', id: one.id }));
    read.append(box);
    about.append(make('p', 'reads-words', one.reads));
    if (one.scans.words) about.append(make('p', 'reads-words', one.scans.words));
    if (one.scans.act) row.append(press(one.scans.label, () => ask({ act: one.scans.act, id: one.id })));
    if (one.kept) row.append(make('span', 'in', 'In the library'));
    else if (!temporary) row.append(press('Keep in library', () => ask({ act: 'keep', id: one.id })));
    row.append(sure('Remove from chat', 'Really remove it? Its quotations can no longer be opened', () => ask({ act: 'remove', id: one.id })));
    about.append(row);
    const node = line('chat', one, about, read);
    node.classList.toggle('resting', !one.active);
    return node;
  }

  function shelved(one) {
    const about = facts(one), row = make('div', 'row');
    if (one.readers.length) {
      const who = make('p', 'readers');
      who.append(make('span', '', 'Used by:'), ' ', theirs(make('span', '', one.readers.join(' · '))));
      if (one.more) who.append(' ', make('span', '', `and ${one.more} more`));
      about.append(who);
    }
    if (one.here) row.append(make('span', 'in', 'In this chat'));
    else row.append(press('Add to this chat', () => attach(one), 'main'));
    const kept = one.readers.length ? 'Really delete it? The chats that use it keep it' : 'Really delete it?';
    row.append(sure('Delete from library', kept, () => ask({ act: 'delete', id: one.id })));
    about.append(row);
    return line('library', one, about);
  }

  function arriving(one) {
    const about = make('div', 'about'), row = make('div', 'row');
    row.append(press('Stop', () => ask({ act: 'stop', id: one.id })));
    about.append(theirs(make('b', '', one.name)), make('p', 'facts', one.words), row);
    return line('adding', one, about);
  }

  // --- the panel ---
  const within = (node) => [...node.querySelectorAll('button, input')];
  // Returns whether it waits for a second click, which a new button would not know of.
  function draw(value) {
    const names = value.chat.filter((one) => one.active).map((one) => one.title);
    reads(names);
    const key = JSON.stringify({ ...value, told: '' });
    if (!dialog.open || key === drawn) return false;
    if (!ordering && body.querySelector('[data-sure]')) return true;
    drawn = key;
    const focused = document.activeElement, held = focused?.closest?.('.paper-line'), at = held && within(held).indexOf(focused);
    const mine = make('ul', 'papers'), theirs_ = make('ul', 'papers');
    mine.append(...value.chat.map((one) => own(one, value.temporary)));
    theirs_.append(...value.adding.map(arriving), ...value.library.map(shelved));
    const none = make('p', 'hint', 'None yet. Drop documents into the chat, or add one from the library.');
    const empty = make('p', 'hint', 'None yet. What is kept here can be used in every chat.');
    body.replaceChildren(
      make('h3', '', 'This chat'), value.chat.length ? mine : none,
      make('h3', '', 'Library'), theirs_.childElementCount ? theirs_ : empty, adder(),
    );
    const again = held && body.querySelector(`[data-line="${held.dataset.line}"]`);
    if (held) ((again && within(again)[at]) || done).focus();
    return false;
  }

  function adder() {
    const row = make('div', 'drop'), file = make('input');
    Object.assign(file, { type: 'file', multiple: true, hidden: true });
    file.addEventListener('change', () => add([...file.files]));
    row.append(make('span', 'hint', 'Drop files here to keep them in the library.'), press('Choose files…', () => file.click()), file);
    return row;
  }

  async function add(files) {  // one after the other: each is read before the next is sent
    const said = [];
    for (const file of files) {
      told.textContent = [...said, `Adding ${file.name}…`].join(' ');
      setTimeout(ask, 150);
      try {
        const answer = await fetch('/library', { method: 'POST', headers: { 'x-file-name': encodeURIComponent(file.name) }, body: file });
        said.push((await answer.json()).told);
      } catch { said.push(GONE); }
      told.textContent = said.join(' ');
      await ask();
    }
  }

  // The file goes the way of a dropped one: its chip says what is read of it, and it is not read a second time.
  async function attach(one) {
    told.textContent = 'Attaching…';
    try {
      const answer = await fetch(`/media/${one.sha256}`);
      if (!answer.ok) throw new Error('gone');
      const carried = new DataTransfer();
      carried.items.add(new File([await answer.blob()], one.title));
      dialog.close();
      document.querySelector('#box .full-container')
        ?.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: carried }));
      document.querySelector('#box textarea')?.focus();
    } catch { told.textContent = 'The file of this document is missing on the disk.'; }
  }

  const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes('Files');
  dialog.addEventListener('dragover', (event) => { if (hasFiles(event)) { event.preventDefault(); dialog.classList.add('over'); } });
  dialog.addEventListener('dragleave', (event) => { if (!dialog.contains(event.relatedTarget)) dialog.classList.remove('over'); });
  addEventListener('drop', (event) => {  // before the chat takes it
    if (!dialog.open || !hasFiles(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    dialog.classList.remove('over');
    document.getElementById('veil')?.classList.remove('on');
    add([...event.dataTransfer.files]);
  }, true);

  const done = press('Done', () => dialog.close());
  head.append(make('h2', '', 'Documents'), done);
  dialog.append(head, told, body);
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => { clearTimeout(timer); body.replaceChildren(); });
  document.addEventListener('click', (event) => { if (event.target.closest?.('[data-do=documents]')) show(); });

  function show() {
    if (!dialog.isConnected) document.body.append(dialog);
    document.querySelector('dialog.settings[open]')?.close();
    told.textContent = drawn = '';
    dialog.showModal();
    ask();
  }

  // --- a document in a question: its pages, and the file itself from there ---
  const FILE = /\/media\/([0-9a-f]{64})$/;
  const fileOf = (event) => event.target.closest?.('.chat .file-container')?.querySelector('a[href]');
  function linkPapers(row) {
    for (const link of row.querySelectorAll('.file-container a[href]:not([aria-haspopup])')) {
      link.removeAttribute('target');
      link.setAttribute('aria-haspopup', 'dialog');
    }
  }
  document.addEventListener('click', async (event) => {
    const link = fileOf(event), sha256 = link && FILE.exec(link.href)?.[1];
    if (!sha256 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const find = () => known.find((one) => one.sha256 === sha256);
    if (!find()) await ask();  // a question that is being answered brought it
    find() ? open(find(), link) : window.glmchat.download(link.href);
  }, true);

  // --- the line above the composer ---
  function reads(names) {
    const node = document.querySelector('#reads .reads');
    if (!node) return;
    node.hidden = !names.length;
    const text = names.join(', ');
    if (node.lastElementChild.textContent !== text) node.lastElementChild.textContent = text;
    node.title = text;
  }

  Object.assign((window.glmchat ||= {}), { documents: show, reads: () => ask(), linkPapers });
})();
