// What the model saw, folded under an answer: sizes, tokens, and of a video the moments it looked at.
// Names come from people and imports: textContent only.
(() => {
  const WAIT = 20000;  // ms for one moment of a video, then it counts as one that cannot be played
  const { make } = window.glmchat;
  const count = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
  const size = ([width, height]) => `${width.toLocaleString('en')} × ${height.toLocaleString('en')}`;
  const tokens = (n) => count(n, 'token', 'tokens');

  // --- words ---
  function sizes({ original, size: final, change }) {
    const [before, after] = [size(original), size(final)];
    if (before === after) return [`${after} px, as it is`];
    return [`${before} → ${after} px`, ...(change ? [change] : [])];
  }

  function facts(one) {
    if (!one.video) return [...sizes(one), tokens(one.tokens)];
    const pairs = count(one.pairs, 'pair of frames', 'pairs of frames');
    return [`${window.glmchat.clock(one.length)} long`, pairs, ...sizes(one), tokens(one.tokens)];
  }

  function totals({ tokens: shown, text }) {
    return [`Pictures and videos: ${tokens(shown)}`, ...(text == null ? [] : [`Text: ${tokens(text)}`])];
  }

  function called(one) {
    const node = make('strong', '', one.name || 'attachment');
    node.translate = false;
    return node;
  }

  // --- the strip of a video: its moments, drawn by this browser one after the other while it is open ---
  function strip(one) {
    const node = make('div', 'strip'), film = make('div', 'film'), told = make('p', 'told');
    const cells = one.moments.map((second) => {
      const cell = make('button', 'moment');
      cell.type = 'button';
      cell.disabled = !one.src;
      cell.title = `Show ${window.glmchat.clock(second)} in the video`;
      cell.append(make('canvas', ''), make('span', '', window.glmchat.clock(second)));
      cell.addEventListener('click', () => window.glmchat.seek(one.src, second, node));
      film.append(cell);
      return { cell, second };
    });
    if (one.pairs > cells.length) told.textContent = `${cells.length} of ${one.pairs.toLocaleString('en')} moments are shown here.`;
    node.append(told, film);
    const unplayable = () => {
      if (film.querySelector('.drawn')) return told.textContent = `This browser could not show every moment of ${one.name}.`;
      over = true;
      told.textContent = `This browser cannot play ${one.name}. These are the moments the model looked at.`;
      node.classList.add('bare');
      for (const { cell } of cells) cell.disabled = true;
    };
    if (!one.src) node.classList.add('bare');
    let run = null, over = !one.src || !cells.length;
    const open = async () => {
      if (over || run) return;
      const own = run = { on: true };
      try { over = await drawn(one.src, cells, () => own.on && node.isConnected); } catch { unplayable(); }
      if (run === own) run = null;
    };
    const close = () => { if (run) run.on = false; run = null; };
    return { node, open, close };
  }

  // Resolves to whether all are drawn; rejects when the browser cannot play it.
  async function drawn(src, cells, wanted) {
    const video = document.createElement('video');
    Object.assign(video, { muted: true, playsInline: true, preload: 'auto' });
    const happens = (kind) => new Promise((resolve, reject) => {
      const late = setTimeout(reject, WAIT, new Error('too slow'));
      video.addEventListener(kind, () => { clearTimeout(late); resolve(); }, { once: true });
      video.addEventListener('error', () => { clearTimeout(late); reject(video.error); }, { once: true });
    });
    try {
      const ready = happens('loadeddata');
      video.src = src;
      await ready;
      if (!video.videoWidth) throw new Error('no picture');
      for (const { cell, second } of cells) {
        if (cell.classList.contains('drawn')) continue;
        if (!wanted()) return false;
        const there = happens('seeked');
        video.currentTime = Math.min(second + 0.001, video.duration || second);
        await there;
        paint(cell, video);
      }
      return true;
    } finally {
      video.removeAttribute('src');
      video.load();  // lets go of the file
    }
  }

  function paint(cell, video) {
    const canvas = cell.querySelector('canvas'), scale = 160 / Math.max(video.videoWidth, video.videoHeight);
    canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
    canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
    canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
    cell.classList.add('drawn');
  }

  // --- the fold: kept while its answer is on the page, however often Gradio draws the row anew ---
  const kept = new Map();  // id of the answer -> { key, button, panel }

  function saw(message) {
    const key = JSON.stringify(message.saw), old = kept.get(message.id);
    if (old?.key === key) return old;
    const fold = { key, ...folded(message.saw) };
    kept.set(message.id, fold);
    return fold;
  }

  function folded(value) {
    const button = make('button', 'act saw-words', 'What the model saw'), panel = make('section', 'saw');
    const strips = [];
    for (const one of value.media) {
      const item = make('div', 'one');
      item.append(called(one), ...facts(one).map((fact) => make('span', 'fact', fact)));
      if (one.video) { strips.push(strip(one)); item.append(strips[strips.length - 1].node); }
      panel.append(item);
    }
    const sum = make('p', 'totals');
    sum.append(...totals(value).map((words) => make('span', 'fact', words)));
    panel.append(sum);
    panel.setAttribute('aria-label', 'What the model saw');
    panel.hidden = panel.translate = true;  // our own words, in the middle of what is not
    button.type = 'button';
    const unfold = (open) => {
      panel.hidden = !open;
      button.setAttribute('aria-expanded', String(open));
      strips.forEach((one) => (open ? one.open() : one.close()));
    };
    button.addEventListener('click', () => unfold(panel.hidden));
    button.setAttribute('aria-expanded', 'false');
    return { button, panel, shown: () => { if (!panel.hidden) strips.forEach((one) => one.open()); } };
  }

  const forgetSaw = (ids) => { for (const id of kept.keys()) if (!ids.includes(id)) kept.delete(id); };

  Object.assign((window.glmchat ||= {}), { saw, forgetSaw });
})();
