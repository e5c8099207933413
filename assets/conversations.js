// The list in the sidebar, its search and the menu of each line. Titles are untrusted: textContent only.
// Events used from Python: 'open_conv' 'list_action' 'search_conv'.
const root = element.querySelector('.convs');
const input = element.querySelector('.find input');
let found = null;  // what the search found, while something is looked for
let inTrash = false;
const known = new Map();  // every line that came, by id: the app sends the newest ones, and older ones when asked
const drawn = new Map();  // the nodes of lines that have not changed: thousands need not be made anew

const { make } = window.glmchat;
const button = (name, text, act) => {
  const node = make('button', name, text);
  node.type = 'button';
  node.addEventListener('click', (event) => { event.stopPropagation(); act(event); });
  return node;
};
const act = (action, item, more = {}) => trigger('list_action', { action, id: item.id, ...more });

// --- lines ---
function row(item, active) {
  const line = make('div', item.id === active ? 'conv active' : 'conv');
  const open = button('open', null, () => {
    trigger('open_conv', { id: item.id });
    window.glmchat?.closeDrawer();
  });
  open.title = item.title;
  open.translate = false;
  if (item.id === active) open.setAttribute('aria-current', 'page');
  open.append(make('span', 'title', item.title));
  if (item.words?.length) open.append(snippet(item.words));
  open.addEventListener('dblclick', () => rename(line, item));
  open.addEventListener('keydown', (event) => { if (event.key === 'F2') rename(line, item); });
  const more = button('more', null, () => menu(more, line, item));
  more.setAttribute('aria-label', `More for ${item.title}`);
  more.setAttribute('aria-haspopup', 'menu');
  line.append(open, more);
  return line;
}

function snippet(words) {  // every second piece is a match
  const node = make('span', 'words');
  words.forEach((piece, n) => node.append(n % 2 ? make('mark', '', piece) : piece));
  return node;
}

// A line becomes a field; Enter and a click elsewhere keep what is written, Escape does not.
function ask(line, label, value, keep) {
  const field = make('input', 'field');
  field.value = value;
  field.placeholder = label;
  field.setAttribute('aria-label', label);
  let over = false;
  const end = (kept) => {
    if (over) return;
    over = true;
    field.remove();
    if (kept && field.value.trim() && field.value !== value) keep(field.value);
    draw();
  };
  field.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'Enter' && !event.isComposing) end(true);
    if (event.key === 'Escape') end(false);
  });
  field.addEventListener('blur', () => end(true));
  line.replaceChildren(field);
  field.focus();
  field.select();
}
const rename = (line, item) => ask(line, 'New name', item.title, (title) => act('rename', item, { title }));
const file = (line, item) => ask(line, 'Name of the folder', '', (folder) => act('file', item, { folder }));

// --- the menu of a line ---
function menu(anchor, line, item) {
  const list = make('div', 'menu');
  list.popover = 'auto';
  list.setAttribute('role', 'menu');
  const entry = (text, then, name = '') => {
    const node = button(name, text, () => { list.hidePopover(); then(); });
    node.setAttribute('role', 'menuitem');
    list.append(node);
  };
  entry('Rename', () => rename(line, item));
  entry(item.pinned ? 'Unpin' : 'Pin', () => act('pin', item, { pinned: !item.pinned }));
  for (const folder of (props.value?.folders || []).filter((name) => name !== item.folder))
    entry(`Move to ${folder}`, () => act('file', item, { folder }));
  entry('New folder…', () => file(line, item));
  if (item.folder) entry(`Take out of ${item.folder}`, () => act('file', item, { folder: '' }));
  entry('Export as Markdown', () => window.glmchat.download(`/export/markdown?c=${encodeURIComponent(item.id)}`));
  entry('Delete', () => act('trash', item), 'danger');
  document.body.append(list);
  list.addEventListener('toggle', (event) => { if (event.newState === 'closed') { list.remove(); anchor.focus(); } });
  list.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const nodes = [...list.children], at = nodes.indexOf(document.activeElement);
    nodes[(at + step + nodes.length) % nodes.length].focus();
  });
  list.showPopover();
  const place = anchor.getBoundingClientRect(), box = list.getBoundingClientRect();
  list.style.left = `${Math.min(place.left, innerWidth - box.width - 8)}px`;
  list.style.top = `${Math.min(place.bottom + 4, innerHeight - box.height - 8)}px`;
  list.firstChild.focus();
}

// --- the trash ---
function thrown(item) {
  const line = make('div', 'conv');
  const erase = twice('erase', 'Delete', 'For good?', () => act('erase', item));
  const title = make('span', 'title', item.title);
  title.title = item.title;
  title.translate = false;
  line.append(title, button('back', 'Put back', () => act('restore', item)), erase);
  return line;
}

// Two clicks, the second one on other words.
function twice(name, label, sure, then) {
  const node = button(name, label, () => {
    if (node.dataset.sure) return then();
    node.dataset.sure = 'yes';
    node.textContent = sure;
  });
  return node;
}

// --- the list ---
function learn({ items = [], older = [], trash = [], count = 0 }) {
  for (const item of trash) known.delete(item.id);
  if (items.length >= count) known.clear();  // these are all; otherwise what came before may be older than they
  for (const item of [...older, ...items]) known.set(item.id, item);
}

// Pinned ones, folders by name, then the rest; the last used first in each.
function order(a, b) {
  if (a.pinned !== b.pinned) return a.pinned ? -1 : 1;
  const one = a.pinned ? null : a.folder, other = b.pinned ? null : b.folder;
  if (one !== other) return one === null ? 1 : other === null ? -1 : one.toLowerCase() < other.toLowerCase() ? -1 : 1;
  return b.at - a.at || (a.id < b.id ? 1 : -1);
}

function line(item, active) {
  const key = JSON.stringify([item, item.id === active]), old = drawn.get(item.id);
  if (old?.key === key && old.node.querySelector('.open')) return old.node;
  const node = row(item, active);
  drawn.set(item.id, { key, node });
  return node;
}

function oldest() {  // as the app counts: pinned ones are the newest of all
  const later = (a, b) => (a.pinned !== b.pinned ? b.pinned : a.at !== b.at ? a.at < b.at : a.id < b.id);
  return [...known.values()].reduce((last, item) => (!last || later(item, last) ? item : last), null);
}

function draw() {
  const { active = null, trash = [], trashed = 0, count = 0 } = props.value || {};
  if (root.querySelector('.field:focus')) return;  // what is being typed stays; the list comes when it ends
  inTrash &&= trash.length > 0;
  const nodes = [];
  let group = null;
  for (const item of found || (inTrash ? [] : [...known.values()].sort(order))) {
    const heading = found ? 'Found' : item.group;
    if (heading !== group) {
      nodes.push(make('div', 'group', (group = heading)));
      nodes.at(-1).translate = found || item.pinned || !item.folder;  // else it is the folder's name
    }
    nodes.push(line(item, active));
  }
  if (inTrash && !found) {
    nodes.push(make('div', 'group', 'Trash: kept for 30 days'));
    nodes.push(make('p', 'hint', 'What is deleted for good stays in the daily backups for a week.'));
    nodes.push(...trash.map(thrown), twice('bin clear', 'Empty the trash', `Delete all ${trashed} for good?`, () => act('empty', {})));
  } else if (!nodes.length) nodes.push(make('p', 'none', found ? 'Nothing found.' : 'Your conversations appear here.'));
  if (!found && !inTrash && known.size < count) {
    const left = (count - known.size).toLocaleString('en');
    nodes.push(button('bin older', `Show more (${left})`, () => act('older', oldest() || {})));
  }
  if (trash.length && !found) {
    const label = inTrash ? 'Back to conversations' : `Trash (${trashed})`;
    nodes.push(button('bin', label, () => { inTrash = !inTrash; draw(); }));
  }
  root.replaceChildren(...nodes);
}

function changed() {
  const value = props.value || {};
  if (!input.value.trim()) found = null;
  else if (value.found && value.asked === input.value) found = value.found;
  learn(value);
  draw();
  undo(value.undo);
  rescued(value.rescued);
  document.documentElement.classList.toggle('temporary', Boolean(value.temporary));
  const heading = document.querySelector('#top h1');
  if (heading) heading.translate = Boolean(value.temporary);  // only that title is ours
}
changed();
watch('value', changed);

// --- search ---
let pause = null;
input.addEventListener('input', () => {
  clearTimeout(pause);
  if (!input.value.trim()) { found = null; return draw(); }
  pause = setTimeout(() => trigger('search_conv', { asked: input.value }), 120);
});
input.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') { event.stopPropagation(); input.value = ''; found = null; draw(); input.blur(); }
  if (event.key === 'ArrowDown' || event.key === 'Enter') {
    event.preventDefault();
    const first = root.querySelector('.open');
    if (event.key === 'Enter') first?.click(); else first?.focus();
  }
});

// --- undo: a deleted conversation can be had back at once ---
let told = null;
function undo(gone) {
  if (!gone || gone.at === told) return;
  told = gone.at;
  document.querySelector('.undo')?.remove();
  const bar = make('div', 'undo');
  bar.setAttribute('role', 'status');
  bar.append(make('span', '', `Deleted “${gone.title}”`), button('', 'Undo', () => { bar.remove(); act('restore', gone); }));
  document.body.append(bar);
  setTimeout(() => bar.remove(), 10000);
}

// --- what the app did about a damaged database, until it has been read ---
function rescued(words) {
  document.querySelector('.rescued')?.remove();
  if (!words) return;
  const card = make('div', 'rescued');
  card.setAttribute('role', 'alert');
  card.append(make('p', '', words), button('', 'I have read this', () => { card.remove(); act('understood', {}); }));
  document.body.append(card);
}

// --- a chat of which nothing is kept ---
const mac = /Mac|iPhone|iPad/.test(navigator.platform);
const beside = document.querySelector('#temporary-chat');
if (beside) beside.title = `Temporary chat, of which nothing is kept (${mac ? '⇧⌘E' : 'Ctrl+Shift+E'})`;
