// A document beside the chat: its pages as pictures or as text, what is quoted marked on them, words looked for.
// Knows: the addresses of ui/viewer.py. Everything that they tell is untrusted: textContent only.
(() => {
  const SIZES = [1000, 1600, 2600];  // pixels of a picture's long side that can be had
  const KEPT = 12;  // pictures, so that the pages beside this one are there at once
  const REST_MS = 90;  // a page that is only leafed through is not drawn
  const SLOW_MS = 150;  // the page before stays so long
  const phone = matchMedia('(max-width: 767px)');
  const { make, theirs } = window.glmchat;
  const press = (name, words, then) => {
    const node = make('button', name);
    node.type = 'button';
    node.title = words;
    node.setAttribute('aria-label', words);
    node.addEventListener('click', then);
    return node;
  };

  // --- what is on the screen ---
  const dialog = make('dialog', 'viewer'), title = theirs(make('h2')), note = make('p', 'note'), bar = make('div', 'bar');
  const field = make('input', 'number'), many = make('span', 'many'), label = theirs(make('span', 'label')), status = make('p', 'sr-only');
  const stage = make('div', 'stage'), sheet = make('div', 'sheet'), told = make('p', 'told');
  const before = press('icon back', 'Previous page', () => step(-1)), after = press('icon on', 'Next page', () => step(1));
  const size = press('words', 'Actual size', () => { zoomed = !zoomed; paint(); }), text = press('words', 'Show the text of the page', () => { plain = !plain; paint(); });
  const find = press('icon find', 'Search in the document', () => look(finder.node.hidden)), original = press('icon original', 'Save the original file', save);
  const close = press('icon close', 'Close', () => dialog.close());

  Object.assign(field, { type: 'text', inputMode: 'numeric', autocomplete: 'off' });
  field.setAttribute('aria-label', 'Page number');
  for (const node of [note, told, status]) node.setAttribute('role', 'status');
  stage.tabIndex = 0;
  stage.setAttribute('role', 'region');
  stage.setAttribute('aria-label', 'Page');
  dialog.setAttribute('aria-label', 'Document');
  const head = make('header'), turn = make('span', 'turn'), tools = make('span', 'tools');
  head.append(title, close);
  turn.append(before, field, many, after, label);
  tools.append(size, text, find, original);
  bar.append(turn, tools);
  stage.append(sheet, told);

  // --- what is looked at ---
  let doc = '', about = null, page = null, number = 0, quote = null, words = '', zoomed = false, plain = false, opener = null;
  let asked = 0, timer = 0;  // asked: counts pages, so that a late answer is not shown
  let shape = 0.7;  // width by height of the page that was looked at last

  async function ask(path) {
    let answer, value = {};
    try {
      answer = await fetch(`/pages/${doc}${path}`);
      value = await answer.json();
    } catch { throw new Error('The app does not answer. Is it still running?'); }
    if (!answer.ok) throw new Error(value.told || 'The page cannot be shown.');
    return value;
  }
  const marked = () => {
    if (words) return `?q=${encodeURIComponent(words)}`;
    return quote?.verified && quote.page === number ? `?start=${quote.start}&end=${quote.end}` : '';
  };

  async function view(target, from) {
    const fresh = !dialog.open;
    opener = from || document.activeElement;
    show();
    finder.clear();
    find.setAttribute('aria-expanded', 'false');
    words = '';
    quote = target.number ? target : null;
    const other = doc !== target.document;
    doc = target.document;
    title.textContent = title.title = target.title;
    if (fresh || other) { zoomed = plain = false; about = null; number = 0; clear(); }
    controls();
    const now = ++asked;
    if (!doc) return say('This document is no longer here: it went with the last chat that had it.');
    try {
      const value = about || await ask('');
      if (now !== asked) return;
      about = value;
      title.textContent = title.title = about.title;
      if (!about.numbers.length) return say('It is not read yet. Try again in a moment.');
      go(target.page || 1);
    } catch (error) { if (now === asked) fail(error); }
  }

  // --- turning pages ---
  const nearest = (wanted) => about.numbers.reduce((best, one) => (Math.abs(one - wanted) < Math.abs(best - wanted) ? one : best));
  function step(by) {
    const at = about ? about.numbers.indexOf(number) : -1;
    if (at >= 0 && about.numbers[at + by] !== undefined) go(about.numbers[at + by]);
  }

  async function go(wanted) {
    const now = ++asked, leafing = number;
    clearTimeout(timer);
    number = nearest(wanted);
    page = null;
    controls();
    say('');
    if (leafing && !kept.has(address(number))) await new Promise((rest) => { timer = setTimeout(rest, REST_MS); });
    if (now !== asked) return;
    if (about.pictured && !plain) picture(number).catch(() => {});  // drawn while its text is fetched; paint() says what fails
    try {
      const value = await ask(`/${number}${marked()}`);
      if (now !== asked) return;
      page = value;
      shape = page.ratio || shape;
      await paint();
    } catch (error) { if (now === asked) fail(error); }
    if (now === asked && about.pictured && !plain) for (const by of [1, -1]) ahead(number + by);
  }

  function controls() {
    const at = about ? about.numbers.indexOf(number) : -1;
    before.disabled = at <= 0;
    after.disabled = at < 0 || at + 1 >= about.numbers.length;
    field.disabled = find.disabled = !about?.numbers.length;
    original.disabled = !about?.original;
    field.value = number || '';
    many.textContent = about ? `of ${about.total}` : '';
    status.textContent = number ? `Page ${number} of ${about.total}` : '';
    size.hidden = text.hidden = !about?.pictured;
    size.disabled = plain;
    size.textContent = zoomed ? 'Fit' : '100 %';
    text.textContent = plain ? 'Picture' : 'Text';
    text.title = plain ? 'Show the picture of the page' : 'Show the text of the page';
    text.setAttribute('aria-label', text.title);
    size.title = zoomed ? 'Fit the width' : 'Actual size';
    size.setAttribute('aria-label', size.title);
    label.textContent = label.title = page && page.label !== `page ${number}` ? page.label : '';
    remark();
  }

  // What is told about the quotation that was followed, while its page is looked at.
  function remark(outline) {
    const here = quote && quote.page === number && !words;
    note.hidden = !here;
    note.classList.toggle('missing', Boolean(here && !quote.verified));
    if (!here) return;
    const said = quote.similar ? 'These words were not found in the documents. The most similar ones are on this page.'
      : !quote.verified ? 'These words were not found in the documents. This is the page that the answer named.'
      : quote.transcribed ? 'These words are in what the model wrote down of this page. Compare them with its picture.'
      : outline ? 'These words are on this page. Where on it cannot be told.' : 'These words are on this page.';
    note.replaceChildren(theirs(make('b', '', `[${quote.number}]`)), ' ', make('span', '', said));
    if (!quote.verified && quote.words) note.append(' ', theirs(make('q', '', quote.words)));
  }

  // --- drawing ---
  const clear = () => { sheet.replaceChildren(); sheet.className = 'sheet'; sheet.removeAttribute('style'); };
  const say = (sentence) => { told.hidden = !sentence; told.textContent = sentence; };
  function fail(error) { clear(); stage.classList.remove('busy'); say(error.message); }

  // An empty sheet of the page's shape, or one that holds its picture.
  function lay(image) {
    clear();
    sheet.classList.add('picture');
    sheet.style.aspectRatio = image ? `${image.naturalWidth} / ${image.naturalHeight}` : String(shape);
    sheet.style.width = across() ? `${Math.round(across())}px` : '';
    stage.classList.toggle('busy', !image);
    if (image) sheet.append(image);
  }

  async function paint() {
    const now = asked, here = number;
    controls();
    if (!page) return;
    if (!about.pictured || plain) return write();
    const slow = setTimeout(() => { if (now === asked && !plain) lay(); }, SLOW_MS);
    const places = page.marks.length ? ask(`/${here}/marks${marked()}`).catch(() => ({ boxes: [], outline: true })) : null;
    try {
      const image = make('img');
      image.alt = `Page ${here}`;
      image.src = await picture(here);
      await image.decode();
      clearTimeout(slow);  // or it would take the picture away again while the marks are still looked for
      if (now !== asked || plain) return;
      lay(image);
      stage.scrollTop = stage.scrollLeft = 0;
      const found = await places;
      if (found && now === asked && !plain) highlight(found);
    } catch (error) {
      if (now !== asked) return;
      write();
      say(error.message);
    } finally {
      clearTimeout(slow);
    }
  }

  function highlight({ boxes, outline }) {
    for (const sides of boxes) {
      const box = make('i', 'mark');
      ['left', 'top', 'width', 'height'].forEach((side, n) => { box.style[side] = `${sides[n] * 100}%`; });
      sheet.append(box);
    }
    sheet.classList.toggle('outlined', outline);
    remark(outline);
    const first = sheet.querySelector('.mark');
    if (first) stage.scrollTo(sheet.offsetLeft + first.offsetLeft - stage.clientWidth / 3, sheet.offsetTop + first.offsetTop - stage.clientHeight / 3);
  }

  // The page as text, letter by letter. Offsets count characters as Python does, not halves of them.
  function write() {
    clear();
    stage.classList.remove('busy');
    say('');
    sheet.classList.add('text');
    const letters = [...page.text], body = theirs(make('div', 'letters'));
    let at = 0;
    for (const [start, end] of page.marks) {
      body.append(letters.slice(at, start).join(''), make('mark', '', letters.slice(start, end).join('')));
      at = end;
    }
    body.append(letters.slice(at).join(''));
    if (page.read_off) sheet.append(make('p', 'read-off', 'Read off the picture of this page by the model.'));
    sheet.append(page.text.trim() ? body : make('p', 'read-off', 'There is no text on this page.'));
    const first = body.querySelector('mark');
    stage.scrollTop = first ? first.offsetTop - stage.clientHeight / 3 : 0;
  }

  // --- pictures: fetched once, a few kept ---
  const kept = new Map();  // address -> promise of a blob's address
  const across = () => (zoomed && page ? page.points[0] * about.scale : 0);  // pixels of the page in its actual size
  const wide = () => {
    const width = across() || stage.clientWidth - 32, long = Math.max(width, width / shape) * (devicePixelRatio || 1);
    return SIZES.find((one) => one >= long) || SIZES[SIZES.length - 1];
  };
  const address = (n) => `/pages/${doc}/${n}/picture?long=${wide()}`;
  function picture(n) {
    const from = address(n), there = kept.get(from);
    kept.delete(from);
    kept.set(from, there || load(from));
    if (!there) kept.get(from).catch(() => kept.delete(from));
    while (kept.size > KEPT) drop(kept.keys().next().value);
    return kept.get(from);
  }
  async function load(from) {
    const answer = await fetch(from).catch(() => { throw new Error('The app does not answer. Is it still running?'); });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).told || 'The page cannot be shown.');
    return URL.createObjectURL(await answer.blob());
  }
  function drop(from) {
    kept.get(from)?.then((blob) => URL.revokeObjectURL(blob), () => {});
    kept.delete(from);
  }
  const ahead = (n) => { if (about.numbers.includes(n)) picture(n).catch(() => {}); };

  // --- looking for words: lookup.js asks and lists, here the page that was chosen is shown ---
  const finder = window.glmchat.lookup({
    ask: (path) => ask(path),
    choose: (wanted, n) => { words = wanted; go(n); },
  });
  function look(on) {
    finder.node.hidden = !on;
    find.setAttribute('aria-expanded', String(on));
    if (on) return finder.focus();
    const had = words;
    words = '';
    stage.focus();
    if (had && number) go(number);
  }

  function save() { if (about?.original) window.glmchat.download(`/pages/${doc}/original`); }

  dialog.append(head, bar, finder.node, note, status, stage);

  // --- the panel: beside the chat on a desk, over it on a phone ---
  function show() {
    if (!dialog.isConnected) document.body.append(dialog);
    document.documentElement.classList.add('viewing');
    if (!dialog.open) phone.matches ? dialog.showModal() : dialog.show();
    stage.focus();
  }
  dialog.addEventListener('close', () => {
    document.documentElement.classList.remove('viewing');
    ++asked;
    for (const from of [...kept.keys()]) drop(from);
    if (dialog.contains(document.activeElement) || document.activeElement === document.body)
      (opener?.isConnected ? opener : document.querySelector('#box textarea'))?.focus();
    clear();
    doc = '';
  });
  dialog.addEventListener('cancel', (event) => { if (!finder.node.hidden) { event.preventDefault(); look(false); } });
  addEventListener('keydown', (event) => {
    if (!dialog.open || event.isComposing || document.querySelector(':popover-open, dialog[open]:not(.viewer, .tables)')) return;
    if (event.key === 'Escape') {
      event.preventDefault();  // a search field would only be emptied
      return finder.node.hidden || !finder.node.contains(event.target) ? dialog.close() : look(false);
    }
    if (!dialog.contains(event.target) || event.metaKey || event.ctrlKey || event.altKey) return;
    const typed = event.target.closest('input');
    if (event.key === 'ArrowLeft' && !typed) step(-1);
    if (event.key === 'ArrowRight' && !typed) step(1);
    if (event.target !== field) return;
    if (event.key === 'ArrowDown') step(1);
    if (event.key === 'ArrowUp') step(-1);
    if (event.key === 'Enter') chosen();
  });
  const chosen = () => {
    const wanted = parseInt(field.value, 10);
    if (about?.numbers.length && wanted > 0 && wanted !== number) go(wanted);
    else field.value = number || '';
  };
  field.addEventListener('change', chosen);
  field.addEventListener('focus', () => field.select());
  addEventListener('keydown', (event) => {  // the browser's own search knows nothing of the other pages
    if (!dialog.open || !(event.metaKey || event.ctrlKey) || event.key.toLowerCase() !== 'f' || !dialog.contains(event.target)) return;
    event.preventDefault();
    look(true);
  });
  document.addEventListener('click', (event) => {  // another chat: its documents are others
    if (dialog.open && event.target.closest?.('.conv .open, #new-chat, #temporary-chat')) dialog.close();
  }, true);

  Object.assign((window.glmchat ||= {}), { view });
})();
