// What holds the memory now, at the foot of the sidebar; and which model answers, in the header. Words of the app and
// names of folders: textContent only. Asks the app every few seconds while the page can be seen.
(() => {
  const root = document.documentElement;
  const CALM = 5000, ANSWERING = 3000, LOADING = 1000;  // ms
  const { make } = window.glmchat;
  const STATES = {
    stopped: 'not loaded', starting: 'starting', loading: 'loading', idle: 'ready', busy: 'answering',
  };

  function parts(value) {
    const list = make('ul'), model = make('li');
    model.append(make('i'), make('span', '', 'Model'), make('b', '', STATES[value.state] || ''));
    list.append(model);
    for (const part of value.parts) {
      const line = make('li');
      line.append(make('i', part.name.split(' ')[0].toLowerCase()), make('span', '', part.name), make('b', '', part.size));
      list.append(line);
    }
    for (const words of value.run) {
      const line = make('li', 'run');
      line.append(make('i'), make('span', '', words));
      list.append(line);
    }
    const limit = make('li');
    limit.append(make('i', 'limit'), make('span', '', 'A model may take'), make('b', '', value.limit_words));
    list.append(limit);
    if (value.measuring.state === 'offer' || value.measuring.state === 'running') {
      const line = make('li', 'measuring'), open = make('button', 'link', value.measuring.state === 'offer' ? 'Measure this computer…' : 'Measuring this computer…');
      open.type = 'button';
      open.addEventListener('click', () => window.glmchat.models());
      line.append(open);
      list.append(line);
    }
    return list;
  }

  function draw(value) {
    const box = document.querySelector('#gauge .gauge'), named = document.querySelector('#top .model-name');
    root.classList.toggle('demo', value.demo);
    if (named) {
      const text = named.firstElementChild;
      text.translate = !value.theirs;
      if (text.dataset.name !== value.model) text.textContent = text.dataset.name = value.model;
    }
    if (!box) return;
    box.querySelector('.words').textContent = value.words;
    const bar = box.querySelector('.bar');
    bar.style.setProperty('--limit', value.limit);
    bar.replaceChildren(...value.parts.map((part) => {
      const piece = make('i', part.name.split(' ')[0].toLowerCase());
      piece.style.width = `${Math.min(100, part.share * 100)}%`;
      return piece;
    }));
    const list = box.querySelector('.parts'), held = list.contains(document.activeElement);
    list.replaceChildren(parts(value));
    if (held) (list.querySelector('button') || box.querySelector('summary')).focus();
  }

  let timer = 0;
  async function look() {
    clearTimeout(timer);
    let soon = CALM;
    if (!document.hidden) {
      try {
        const answer = await fetch('/now');
        if (answer.ok) {
          const value = await answer.json();
          window.glmchat.now = value;
          draw(value);
          if (value.state === 'busy') soon = ANSWERING;
          if (value.loading || ['starting', 'loading'].includes(value.state)) soon = LOADING;
        }
      } catch { /* the app has ended, or will answer later */ }
    }
    if (window.glmchat.ending) return;
    clearTimeout(timer);
    timer = setTimeout(look, document.querySelector('#gauge .gauge') ? soon : 200);
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
  Object.assign((window.glmchat ||= {}), { look });
  look();
})();
