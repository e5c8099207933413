// The list in the sidebar. Event used from Python: 'open_conv'. Titles are untrusted: textContent only.
const root = element.querySelector('.convs');
const make = (tag, name, text) => {
  const node = document.createElement(tag);
  node.className = name;
  if (text != null) node.textContent = text;
  return node;
};

function row(item, active) {
  const node = make('button', item.id === active ? 'conv active' : 'conv');
  node.title = item.title;
  if (item.id === active) node.setAttribute('aria-current', 'page');
  node.append(make('span', '', item.title));
  node.addEventListener('click', () => {
    trigger('open_conv', { id: item.id });
    window.glmchat?.closeDrawer();
  });
  return node;
}

function draw() {
  const { items = [], active = null } = props.value || {};
  const nodes = [];
  let group = null;
  for (const item of items) {
    if (item.group !== group) nodes.push(make('div', 'group', (group = item.group)));
    nodes.push(row(item, active));
  }
  if (!items.length) nodes.push(make('p', 'none', 'Your conversations appear here.'));
  root.replaceChildren(...nodes);
}
draw();
watch('value', draw);
