// The window in Chinese. Knows: chinese.json, which parts of the page are ours. Does not know: what any of them does.
//
// Every sentence stays English where it is written, in scripts, in Python, in Gradio; here what the page shows is looked
// up in one map and replaced, now and whenever it changes, and the English is kept, so that a click brings it back.
// That is instead of a function around every sentence: most of them are made in Python, some are stored with an answer
// and shown again on another day, and a window in English runs none of this.
//
// What a person or a model wrote is never looked up. It stands under translate="no", the attribute that also keeps
// browsers' own translators away; translate="yes" inside it is ours again. A file's name inside one of our sentences is
// a hole of the map, and comes through as it is: {0} is any words, {#0} a number, {+0} a sentence of ours, looked up in
// turn (without one the whole does not fit), {?0} words of the system, looked up where they are known.
(() => {
  const root = document.documentElement;
  const LABELS = ['placeholder', 'title', 'aria-label', 'aria-description', 'alt'];
  const CODE = 'code, pre, script, style';
  const LONGEST = 1500;  // characters of what can be a sentence of ours; also bounds the work of matching
  const REMEMBERED = 500;  // texts whose Chinese is known without matching again

  // --- the choice: kept in this browser like the theme; '' is the system's ---
  const read = () => { try { return localStorage.getItem('language'); } catch { return null; } };
  const write = (name) => { try { localStorage.setItem('language', name); } catch { /* a private window */ } };
  const chinese = () => (read() || navigator.language).toLowerCase().startsWith('zh');

  // --- the map: whole sentences by themselves, those with holes as anchored patterns, the most definite first ---
  const whole = new Map(), patterns = [], known = new Map();
  const HOLE = /\{([#+?]?)(\d)\}/;

  function compile(english, said) {
    const kinds = {}, names = [];
    const source = english.split(HOLE).map((piece, n, all) => {
      if (n % 3 === 0) return piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      if (n % 3 === 1) return piece === '#' ? '(\\d[\\d.,]*%?)' : '(.+)';
      kinds[piece] = all[n - 1];
      names.push(piece);
      return '';
    });
    const letters = english.split(HOLE).filter((_, n) => n % 3 === 0).join('').length;
    const definite = letters + Object.values(kinds).filter((kind) => kind === '+').length / 10;
    const greedy = source.join(''), fits = [greedy, greedy.replaceAll('(.+)', '(.+?)')].map((one) => new RegExp(`^${one}$`));
    return { fits: names.length > 1 ? fits : [fits[0]], names, kinds, said, definite };
  }

  function filled({ fits, names, kinds, said }, text) {
    for (const one of fits) {  // a name may hold the words between two holes: its end is looked for from both sides
      const found = one.exec(text);
      if (!found) return null;
      const holes = {};
      for (const [n, name] of names.entries()) holes[name] = hole(kinds[name], found[n + 1]);
      if (!Object.values(holes).includes(null)) return said.replace(/\{[#+?]?(\d)\}/g, (_, name) => holes[name]);
    }
    return null;
  }
  const hole = (kind, words) => (kind === '+' ? look(words) : kind === '?' ? look(words) ?? words : words);

  function look(text) {
    if (whole.has(text)) return whole.get(text);
    for (const pattern of patterns) {
      const said = filled(pattern, text);
      if (said !== null) return said;
    }
    return null;
  }

  function inChinese(text) {  // null: it is not a sentence of ours
    if (text.length > LONGEST || !/[A-Za-z]/.test(text)) return null;
    const plain = text.trim().replace(/\s+/g, ' ');
    if (!known.has(plain)) {
      if (known.size >= REMEMBERED) known.clear();
      known.set(plain, look(plain));
    }
    return known.get(plain);
  }

  function learn() {
    for (const [english, said] of Object.entries(window.chinese)) {
      if (HOLE.test(english)) patterns.push(compile(english, said));
      else whole.set(english, said);
    }
    patterns.sort((one, other) => other.definite - one.definite);
  }

  // --- replacing: what was there is kept with the node, so that it can be put back, and ours is told from news ---
  const texts = new WeakMap();  // text node -> [English, Chinese]
  const labels = new WeakMap();  // element -> { attribute: [English, Chinese] }

  function text(node) {
    const now = node.nodeValue;
    if (texts.get(node)?.[1] === now) return;
    const said = inChinese(now);
    if (said === null) return void texts.delete(node);
    texts.set(node, [now, said]);
    node.nodeValue = said;
  }

  function label(element, name) {
    const now = element.getAttribute(name), kept = labels.get(element);
    if (now === null || kept?.[name]?.[1] === now) return;
    const said = inChinese(now);
    if (said === null) return void (kept && delete kept[name]);
    labels.set(element, { ...kept, [name]: [now, said] });
    element.setAttribute(name, said);
  }

  // --- what is ours ---
  const yes = (near) => near === null || near.getAttribute('translate') === 'yes';
  const ours = (element) => element !== null && yes(element.closest(`[translate], ${CODE}, textarea`));
  const oursToLabel = (element) => yes(element.closest(`[translate], ${CODE}`));

  function walk(node) {
    if (node.nodeType === Node.TEXT_NODE) return text(node);
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches(CODE)) return;
    if (node.getAttribute('translate') === 'no') return islands(node);
    for (const name of LABELS) label(node, name);
    if (node.localName !== 'textarea') for (const child of node.childNodes) walk(child);
  }
  function islands(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (node.getAttribute('translate') === 'yes') return walk(node);
    for (const inside of node.querySelectorAll('[translate=yes]')) walk(inside);
  }

  // Gradio draws these parts, and they can be marked only when they are there.
  function mark() {
    for (const node of document.querySelectorAll('.chat:not([translate])')) node.translate = false;
    const within = '.chat .thought-group .title:not([translate]), .chat a[href^="#note-"]:not([translate])';
    for (const node of document.querySelectorAll(within)) {
      node.translate = true;
      if (on) walk(node);
    }
  }

  // --- watching: only what changed, and nothing at all while the window is in English ---
  function changed({ type, target, attributeName, addedNodes }) {
    if (type === 'characterData') return void (ours(target.parentElement) && text(target));
    if (type === 'attributes') {
      if (attributeName === 'translate' && target.translate) return void walk(target);
      if (attributeName === 'translate') return backToEnglish(target), islands(target);
      return void (oursToLabel(target) && label(target, attributeName));
    }
    const visit = ours(target) ? walk : islands;
    for (const node of addedNodes) visit(node);
  }
  const watcher = new MutationObserver((records) => {
    mark();
    records.forEach(changed);
    watcher.takeRecords();  // of what was just replaced: no other script has run since
  });

  function backToEnglish(top) {
    const nodes = document.createTreeWalker(top, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = nodes.currentNode; node; node = nodes.nextNode()) {
      const [english, said] = texts.get(node) || [];
      if (english !== undefined && node.nodeValue === said) node.nodeValue = english;
      for (const [name, [before, then]] of Object.entries(labels.get(node) || {}))
        if (node.getAttribute(name) === then) node.setAttribute(name, before);
      texts.delete(node);
      labels.delete(node);
    }
  }

  let on = false;
  function apply() {
    root.lang = chinese() ? 'zh-CN' : 'en';
    if (chinese() === on) return;
    on = !on;
    if (!on) {
      watcher.disconnect();
      return backToEnglish(document.body);
    }
    if (!whole.size) learn();
    watcher.observe(root, {
      subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: [...LABELS, 'translate'],
    });
    mark();
    walk(document.body);
    watcher.takeRecords();
  }
  const setLanguage = (name) => { write(name); apply(); };

  Object.assign((window.glmchat ||= {}), { setLanguage, mark });
  addEventListener('languagechange', apply);
  // Gradio gives the page the browser's language once it is up
  new MutationObserver(() => { if (root.lang !== (chinese() ? 'zh-CN' : 'en')) apply(); }).observe(root, { attributeFilter: ['lang'] });
  apply();
})();
