// What the page does by itself: theme and sidebar before first paint, drop anywhere, scrolling, keys.
(() => {
  const root = document.documentElement;
  const phone = matchMedia('(max-width: 767px)');
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const read = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const write = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window */ } };

  // --- theme: the stored choice, else the system's; Gradio styles itself by body.dark ---
  const theme = () => read('theme') || (dark.matches ? 'dark' : 'light');
  const applyTheme = () => {
    root.classList.toggle('dark', theme() === 'dark');
    document.body?.classList.toggle('dark', theme() === 'dark');
  };
  applyTheme();
  dark.addEventListener('change', applyTheme);

  const setTheme = (name) => { write('theme', name); applyTheme(); };  // '' is the system's

  // --- text size: of messages and the composer, in pixels ---
  const applyText = () => root.style.setProperty('--text', `${Number(read('text')) || 15}px`);
  applyText();
  const setText = (size) => { write('text', size); applyText(); };

  // --- sidebar: open on a desk, a drawer on a phone ---
  const setSidebar = (open) => root.classList.toggle('side-closed', !open);
  setSidebar(!phone.matches && read('sidebar') !== 'closed');
  phone.addEventListener('change', () => setSidebar(!phone.matches && read('sidebar') !== 'closed'));
  const toggleSidebar = () => {
    const open = root.classList.contains('side-closed');
    setSidebar(open);
    if (!phone.matches) write('sidebar', open ? 'open' : 'closed');
  };
  Object.assign((window.glmchat ||= {}), { closeDrawer: () => phone.matches && setSidebar(false), setTheme, setText });

  document.addEventListener('click', (event) => {
    const what = event.target.closest?.('[data-do]')?.dataset.do;
    if (what === 'sidebar') return toggleSidebar();
    if (what === 'theme') return setTheme(theme() === 'dark' ? 'light' : 'dark');
    if (what === 'settings') return window.glmchat.settings?.();
    if (what === 'models') return window.glmchat.models?.();
    if (event.target.closest?.('#new-chat, #temporary-chat')) window.glmchat.closeDrawer();
    // on a phone, a tap beside the drawer closes it
    if (phone.matches && !root.classList.contains('side-closed') && event.target.closest?.('#main')) setSidebar(false);
    const link = event.target.closest?.('.chat a');
    if (link?.getAttribute('href')?.startsWith('#note-')) event.preventDefault();
  }, true);

  window.glmchat.download = (address) => {
    const link = document.createElement('a');
    link.href = address;
    link.download = '';
    link.click();
  };

  // --- notes: links to #note-… are words of the app, drawn by CSS ---
  const markNotes = () => {
    for (const link of document.querySelectorAll('.chat a[href^="#note-"]:not([data-note])')) {
      link.dataset.note = link.getAttribute('href').slice(6);
      link.removeAttribute('target');
      link.setAttribute('role', 'note');
    }
  };

  // --- scrolling: stay at the end while the reader is there, never pull back one who has scrolled up ---
  let pinned = true, watched = null, top = 0;
  const keepEnd = () => { if (pinned && watched) watched.scrollTop = watched.scrollHeight; };
  const grown = new ResizeObserver(keepEnd);
  const scrolled = () => {
    const atEnd = watched.scrollHeight - watched.scrollTop - watched.clientHeight < 40;
    // only a person moves it up: growing content leaves it where it is, and must not look like leaving the end
    if (atEnd) pinned = true;
    else if (watched.scrollTop < top - 2) pinned = false;
    top = watched.scrollTop;
  };
  const watchScroll = () => {
    const box = document.getElementById('scroll');
    if (box && box !== watched) {
      watched = box;
      box.addEventListener('scroll', scrolled, { passive: true });
    }
    for (const child of watched?.children || []) grown.observe(child);  // they come one by one; again is no harm
  };
  window.glmchat.stayAtEnd = () => { pinned = true; };
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('.conv, .example, #new-chat, #box .submit-button')) pinned = true;
  }, true);

  let asked = false;
  new MutationObserver(() => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      applyTheme();  // Gradio sets its own choice once it is up
      watchScroll();
      markNotes();
      window.glmchat.markLinks();
      window.glmchat.mark();
      window.glmchat.quietMedia();
    });
  }).observe(root, { subtree: true, childList: true, attributes: true, attributeFilter: ['src'] });

  // --- drop anywhere: hand the files to the composer's own drop target ---
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes('Files');
  const veil = (on) => {
    let node = document.getElementById('veil');
    if (!node) {
      node = document.createElement('div');
      node.id = 'veil';
      const card = document.createElement('div');
      card.textContent = 'Drop files to attach';
      node.append(card);
      document.body.append(node);
    }
    node.classList.toggle('on', on);
  };
  addEventListener('dragenter', (event) => { if (hasFiles(event)) { depth++; veil(true); } }, true);
  addEventListener('dragleave', (event) => { if (hasFiles(event) && --depth <= 0) { depth = 0; veil(false); } }, true);
  addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault(); }, true);
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    depth = 0;
    veil(false);
    if (event.target.closest?.('#box, .tables')) return;  // they take their own drops
    event.preventDefault();
    event.stopPropagation();
    const carried = new DataTransfer();
    for (const file of event.dataTransfer.files) carried.items.add(file);
    document.querySelector('#box .full-container')
      ?.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: carried }));
  }, true);

  // --- keys ---
  addEventListener('keydown', (event) => {
    const key = event.key.toLowerCase();
    if ((event.metaKey || event.ctrlKey) && !event.altKey && key === 'k') {
      event.preventDefault();
      setSidebar(true);
      return document.querySelector('.find input')?.focus();
    }
    if ((event.metaKey || event.ctrlKey) && key === ',') { event.preventDefault(); return window.glmchat.settings?.(); }
    // a browser keeps Ctrl-N and Cmd-N for itself: with Shift it reaches every page, without it an app's own window
    if ((event.metaKey || event.ctrlKey) && ((event.shiftKey && key === 'o') || (!event.shiftKey && key === 'n'))) {
      event.preventDefault();
      document.querySelector('#new-chat')?.click();
      return setTimeout(() => document.querySelector('#box textarea')?.focus(), 0);
    }
    // with Shift, E is nobody's in a browser; N would open its own private window
    if ((event.metaKey || event.ctrlKey) && event.shiftKey && key === 'e') {
      event.preventDefault();
      document.querySelector('#temporary-chat')?.click();
      return setTimeout(() => document.querySelector('#box textarea')?.focus(), 0);
    }
    if (event.key === 'Enter' && event.target.closest?.('#box')) pinned = true;
    if (event.key !== 'Escape' || document.querySelector(':popover-open, dialog[open]')) return;  // it closes that first
    if (phone.matches && !root.classList.contains('side-closed')) return setSidebar(false);
    stop();
  });

  // The stop button comes with the server's reply to Send: an Escape before that is kept until it is there.
  const SOON = 10_000;  // ms
  let sent = -SOON;
  const stop = () => {
    const button = document.querySelector('#box .stop-button');
    if (button || performance.now() - sent > SOON) arriving.disconnect();
    else arriving.observe(document.querySelector('#box'), { childList: true, subtree: true });
    button?.click();
  };
  const arriving = new MutationObserver(stop);
  const sending = (event) => {
    const typed = event.key === 'Enter' && !event.shiftKey && event.target.closest?.('#box');
    if (!typed && !event.target.closest?.('#box .submit-button, .example')) return;
    sent = performance.now();
    arriving.disconnect();
  };
  addEventListener('keydown', sending, true);
  addEventListener('click', sending, true);
})();
