// What can be done with each message: a row of small buttons under it, and the editor of a question.
// Event used from Python: 'turn_action'. What people wrote is untrusted: textContent and value only.
const { make } = window.glmchat;
const button = (name, label, act) => {
  const node = make('button', name);
  node.type = 'button';
  node.title = label;
  node.setAttribute('aria-label', label);
  node.addEventListener('click', act);
  return node;
};
const send = (action, id, more = {}) => {
  window.glmchat?.stayAtEnd();
  trigger('turn_action', { action, id, ...more });
};

function bar(message, fold) {
  const node = make('div', 'acts');
  node.translate = true;  // ours, in the middle of what is not
  if (message.variants.length > 1) node.append(switcher(message));
  if (message.role === 'user') node.append(button('act edit', 'Edit', () => edit(node.parentElement, message)));
  else {
    node.append(copier(node, message));
    node.append(button('act again', 'Answer again', () => send('again', message.id)));
    if (message.more) {
      const more = button('act more-words', 'Go on', () => send('more', message.id));
      more.textContent = 'Go on';
      node.append(more);
    }
    if (fold) node.append(fold.button);
    if (message.cost) node.append(make('span', 'cost', message.cost));
  }
  return node;
}

function copier(bar, message) {
  const node = button('act copy', 'Copy the answer', () => {
    const { plain } = message.sources || {};  // what it quotes as footnotes, not as links of this page
    if (plain) navigator.clipboard.writeText(plain);
    else bar.parentElement.nextElementSibling?.querySelector('button')?.click();
    node.classList.add('done');
    setTimeout(() => node.classList.remove('done'), 1500);
  });
  return node;
}

function switcher(message) {
  const { variants, at } = message;
  const node = make('span', 'variants');
  const step = (name, label, to) => {
    const arrow = button(`act ${name}`, label, () => send('look', variants[to]));
    arrow.disabled = to < 0 || to >= variants.length;
    return arrow;
  };
  node.append(
    step('left', 'Earlier variant', at - 1), make('span', '', `${at + 1}/${variants.length}`), step('right', 'Later variant', at + 1),
  );
  return node;
}

// --- the editor of a question ---
function edit(row, message) {
  if (row.querySelector('.editor')) return;
  const form = make('form', 'editor'), field = make('textarea', '');
  form.translate = true;
  field.value = message.text;
  field.setAttribute('aria-label', 'Edit the question');
  const close = () => { form.remove(); row.classList.remove('editing'); };
  const keep = () => {
    close();
    if (field.value.trim() && field.value !== message.text) send('edit', message.id, { text: field.value });
  };
  const cancel = make('button', '', 'Cancel'), save = make('button', 'save', 'Send');
  cancel.type = 'button';
  cancel.addEventListener('click', close);
  form.addEventListener('submit', (event) => { event.preventDefault(); keep(); });
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { event.stopPropagation(); close(); document.querySelector('#box textarea')?.focus(); }
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); keep(); }
  });
  const grow = () => { field.style.height = 'auto'; field.style.height = `${Math.min(field.scrollHeight + 2, 320)}px`; };
  field.addEventListener('input', grow);
  const foot = make('div', 'foot');
  foot.append(make('span', '', 'The answer is written anew; the old ones stay.'), cancel, save);
  form.append(field, foot);
  row.classList.add('editing');
  row.prepend(form);
  grow();
  field.focus();
}

// --- under each message: the rows are Gradio's, and it draws them anew as it likes ---
const OURS = ':scope > :is(.acts, .places, .saw, .sources)';
function decorate() {
  const rows = [...document.querySelectorAll('.chat .message-row')];
  const messages = props.value || [];
  rows.forEach((row, n) => {
    const message = messages[n], old = row.querySelector(':scope > .acts');
    const fits = message && row.classList.contains(message.role === 'user' ? 'user-row' : 'bot-row');
    if (fits && message.role === 'assistant') window.glmchat.linkTimes(row, message.saw?.media || []);
    window.glmchat.linkPapers(row);
    window.glmchat.linkQuotes(row, fits ? message.sources : null);
    if (fits && old?.madeFor === keys[n]) return;
    row.querySelectorAll(OURS).forEach((node) => node.remove());
    if (!fits) return;
    const fold = message.saw && window.glmchat.saw(message), fresh = bar(message, fold);
    const quoted = message.sources ? [window.glmchat.sources(message.sources)] : [];
    fresh.madeFor = keys[n];
    row.append(...message.figures.map(window.glmchat.figure), ...quoted, fresh, ...(fold ? [fold.panel] : []));
    fold?.shown();
  });
}
let asked = false;
const soon = () => {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; decorate(); });
};
new MutationObserver(soon).observe(document.getElementById('scroll') || document.body, { subtree: true, childList: true });
let keys = [];  // what each bar was made for; made anew with the messages, not with every repaint
const changed = () => {
  const messages = props.value || [];
  keys = messages.map((message) => JSON.stringify(message));
  window.glmchat.forgetSaw(messages.map((message) => message.id));
  decorate();
};
watch('value', changed);
changed();

// --- Up in an empty composer edits the last question ---
document.addEventListener('keydown', (event) => {
  const box = event.target.closest?.('#box textarea');
  if (event.key !== 'ArrowUp' || !box || box.value || event.isComposing) return;
  const edits = document.querySelectorAll('.chat .act.edit');
  if (!edits.length) return;
  event.preventDefault();
  edits[edits.length - 1].click();
});
