// The list in the sidebar, its search and the menu of each line. Titles are untrusted: textContent only.
// Events used from Python: 'open_conv' 'list_action' 'search_conv'.
const root = element.querySelector('.convs');
const input = element.querySelector('.find input');
let found = null;  // what the search found, while something is looked for
let inTrash = false;

const make = (tag, name, text) => {
  const node = document.createElement(tag);
  node.className = name;
  if (text != null) node.textContent = text;
  return node;
};
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
  const erase = button('erase', 'Delete', () => {
    if (erase.dataset.sure) act('erase', item);
    else { erase.dataset.sure = 'yes'; erase.textContent = 'For good?'; }
  });
  const title = make('span', 'title', item.title);
  title.title = item.title;
  title.translate = false;
  line.append(title, button('back', 'Put back', () => act('restore', item)), erase);
  return line;
}

// --- the list ---
function draw() {
  const { items = [], active = null, trash = [] } = props.value || {};
  if (root.querySelector('.field:focus')) return;  // what is being typed stays; the list comes when it ends
  inTrash &&= trash.length > 0;
  const nodes = [];
  let group = null;
  for (const item of found || (inTrash ? [] : items)) {
    const heading = found ? 'Found' : item.group;
    if (heading !== group) {
      nodes.push(make('div', 'group', (group = heading)));
      nodes.at(-1).translate = found || item.pinned || !item.folder;  // else it is the folder's name
    }
    nodes.push(row(item, active));
  }
  if (inTrash && !found) nodes.push(make('div', 'group', 'Trash: kept for 30 days'), ...trash.map(thrown));
  else if (!nodes.length) nodes.push(make('p', 'none', found ? 'Nothing found.' : 'Your conversations appear here.'));
  if (trash.length && !found) {
    const label = inTrash ? 'Back to conversations' : `Trash (${trash.length})`;
    nodes.push(button('bin', label, () => { inTrash = !inTrash; draw(); }));
  }
  root.replaceChildren(...nodes);
}

function changed() {
  const value = props.value || {};
  if (!input.value.trim()) found = null;
  else if (value.found && value.asked === input.value) found = value.found;
  draw();
  undo(value.undo);
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
