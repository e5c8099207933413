// The composer before Send: a chip per attached file, the options, and the question what all of it would cost.
// Events used from Python: 'draft_action', 'draft_choice'. Names of files are untrusted: textContent and attributes only.
const chips = element.querySelector('.chips'), opener = element.querySelector('.options-button');
const panel = element.querySelector('.options');
const PAUSE = 400;  // ms after the last key
const READING = 500;  // ms between two looks at how far a document is read
const PATIENCE = 30000;  // ms until a question counts as lost
const RATES = [['', '2 a second, as the model was made for'], ['0.5', '1 every 2 seconds'], ['1', '1 a second'], ['4', '4 a second']];
const BUDGETS = [0, 1000, 4000, 16000];
const { make } = window.glmchat;
let files = [];  // {path, name, url, kind: picture, video or a document's, look: {fps, from, to} as typed, told: of the app, chip}
let words = '';  // as typed
let asked = { n: 0, files: [] };
let choices = null, details = null;
let changed = {};  // of the choices, not yet confirmed: a question in between may be dropped
let timer = 0, since = 0;  // when the question under way was asked; 0: none is
let due = false;  // another one waits for its answer

// --- asking: one question at a time, and what changed meanwhile is asked when its answer is there. Gradio's own
// always_last would do, but sends the data of the first event again ---
function measure(pause) {
  clearTimeout(timer);
  timer = setTimeout(ask, pause);
}
function ask() {
  due = since > 0 && Date.now() - since < PATIENCE;
  if (due) return;
  since = Date.now();
  asked = { n: asked.n + 1, files: [...files] };
  trigger('draft_action', { n: asked.n, looks: looks(), open: isOpen(), choices: { ...changed } });
}
const looks = () => files.map((file) => ({ ...file.look }));
const isOpen = () => panel.matches(':popover-open');

function answered() {
  const value = props.value;
  if (!value || value.n !== asked.n) return;
  since = 0;
  asked.files.forEach((file, n) => { file.told = value.files[n] || {}; tell(file); });
  if (!due && files.some((file) => file.told?.reading)) measure(READING);
  details = value.details;
  const drawn = JSON.stringify(choices);
  if (!due) [choices, changed] = [value.choices, {}];
  if (isOpen()) JSON.stringify(choices) === drawn && panel.childElementCount ? tellDetails() : draw();
  tellChanged();
  if (due) ask();
}
const tellChanged = () => opener.classList.toggle('changed', Boolean(choices) && (choices.detail !== 'full' || choices.thinking_budget > 0));
watch('value', answered);

// --- chips ---
window.glmchat.attached = (value) => {  // called with the composer's value whenever it changes
  const now = (value && value.files) || [], text = (value && value.text) || '', before = [...files];
  const same = now.length === before.length && now.every((file, n) => file.path === before[n].path);
  if (!same) {
    files = now.map((file) => {  // the same file may be attached twice, to be looked at in two ways
      const at = before.findIndex((known) => known.path === file.path);
      return at < 0 ? entry(file) : before.splice(at, 1)[0];
    });
    chips.replaceChildren(...files.map((file) => file.chip));
    if (isOpen()) draw();
  }
  if (same && text === words) return;
  words = text;
  if (files.length || words.trim() || !same) measure(same ? PAUSE : 0);  // that a file is gone ends its reading
  else clearTimeout(timer);
};
window.glmchat.looks = looks;
window.glmchat.measure = () => { if (files.length || words.trim()) measure(0); };

function entry(file) {
  const known = { path: file.path, name: file.orig_name || 'file', url: file.url, told: null, look: { fps: '', from: '', to: '' } };
  known.kind = /^(image|video)\//.exec(file.mime_type)?.[1] || 'document';
  known.chip = chip(known);
  return known;
}

function chip(file) {
  const node = make('div', 'chip'), about = make('div', 'about'), drop = make('button', 'remove');
  node.setAttribute('role', 'listitem');
  node.title = file.name;
  about.append(named(file), make('p', 'told', 'Measuring…'));
  drop.type = 'button';
  drop.setAttribute('aria-label', `Remove ${file.name}`);
  drop.title = 'Remove';
  drop.addEventListener('click', () => remove(file));
  node.append(thumbnail(file), about, drop);
  return node;
}

function named(file) {
  const node = make('p', 'name', file.name);
  node.translate = false;  // nobody's words but theirs
  return node;
}

// A picture or a video shows itself; a document, which a browser must not load, is drawn as what it is.
function thumbnail(file) {
  const frame = make('span', 'thumb'), video = file.kind === 'video';
  frame.dataset.kind = file.kind;
  const glyph = (name) => frame.replaceChildren(make('i', name));
  if (!video && file.kind !== 'image') return glyph(`paper ${file.kind}`), frame;
  const picture = make(video ? 'video' : 'img');
  if (video) Object.assign(picture, { muted: true, playsInline: true, preload: 'metadata', tabIndex: -1, src: `${file.url}#t=0.001` });
  else Object.assign(picture, { alt: '', src: file.url });
  picture.setAttribute('aria-hidden', 'true');
  // not every browser shows what the model can read: HEIC, AVI
  picture.addEventListener('error', () => glyph(video ? 'film' : 'photo'));
  frame.append(picture);
  return frame;
}

function tell(file) {
  const { size, change, cost, problem, note, reading } = file.told, about = file.chip.querySelector('.about');
  settle(file);
  const lines = [named(file)];
  if (problem) lines.push(make('p', 'problem', problem));
  if (size) {
    const line = make('p', 'told', size);
    if (change) line.append(make('b', change, change));
    lines.push(line, make('p', 'told', cost));
  }
  if (note) lines.push(make('p', 'problem', note));
  about.replaceChildren(...lines);
  file.chip.classList.toggle('bad', Boolean(problem));
  file.chip.classList.toggle('reading', Boolean(reading));
}

// The app knows better than the browser what a file is: by its content, or by a name the browser does not know.
function settle(file) {
  const kind = file.told.kind || (file.kind === 'document' && file.told.cost ? 'image' : file.kind);
  if (kind === file.kind) return;
  file.kind = kind;
  file.chip.querySelector('.thumb').replaceWith(thumbnail(file));
}

function remove(file) {
  const n = files.indexOf(file);
  files.splice(n, 1);  // so that the look of a twin stays with the twin
  file.chip.remove();
  document.querySelectorAll('#box .delete-button')[n]?.click();
  if (isOpen()) draw();
  window.glmchat.measure();
  document.querySelector('#box textarea')?.focus();
}

// --- options ---
opener.addEventListener('click', () => panel.togglePopover());
panel.addEventListener('toggle', () => {
  opener.setAttribute('aria-expanded', String(isOpen()));
  if (!isOpen()) return panel.replaceChildren();  // closed, it holds no second field of the same name
  place();
  if (choices) draw();
  measure(0);
});
addEventListener('resize', () => { if (isOpen()) place(); });

function place() {
  const at = opener.getBoundingClientRect(), card = document.getElementById('composer').getBoundingClientRect();
  const width = Math.min(400, innerWidth - 28);
  Object.assign(panel.style, {
    width: `${width}px`, left: `${Math.max(14, Math.min(at.left, innerWidth - 14 - width))}px`,
    bottom: `${innerHeight - card.top + 8}px`, maxHeight: `${card.top - 22}px`,
  });
}

function choose(some) {
  Object.assign(choices, some);
  Object.assign(changed, some);
  trigger('draft_choice', { choices: some });  // it must hold for a message sent at once, however long measuring takes
  measure(0);
}

function draw() {
  if (!choices) return;
  panel.replaceChildren(detail(), budget(), ...files.filter((file) => file.kind === 'video').map(clip));
  tellDetails();
}

function group(title, ...nodes) {
  const node = make('fieldset');
  node.append(make('legend', '', title), ...nodes);
  return node;
}

function detail() {
  const rows = ['low', 'medium', 'full'].map((name) => {
    const row = make('label', 'detail'), radio = make('input');
    Object.assign(radio, { type: 'radio', name: 'picture-detail', value: name, checked: choices.detail === name });
    radio.addEventListener('change', () => choose({ detail: name }));
    row.append(radio, make('span', 'name', name[0].toUpperCase() + name.slice(1)), make('span', 'cost'));
    return row;
  });
  return group('Picture detail', ...rows);
}

function tellDetails() {
  for (const row of panel.querySelectorAll('.detail')) {
    row.querySelector('.cost').textContent = details?.[row.querySelector('input').value] || '';
  }
}

function field(label, node) {
  const row = make('label', 'field');
  row.append(make('span', '', label), node);
  return row;
}

function select(options, chosen, then) {
  const node = make('select');
  for (const [value, told] of options) node.append(new Option(told, value, false, value === chosen));
  node.addEventListener('change', () => then(node.value));
  return node;
}

function budget() {
  const own = make('input'), known = BUDGETS.includes(choices.thinking_budget);
  Object.assign(own, { type: 'number', min: 1, max: 65536, step: 1, hidden: known, value: known ? '' : choices.thinking_budget });
  own.setAttribute('aria-label', 'Tokens of thinking');
  own.addEventListener('change', () => { if (own.value && own.checkValidity()) choose({ thinking_budget: Number(own.value) }); });
  const options = BUDGETS.map((most) => [String(most), most ? `${most.toLocaleString('en')} tokens` : 'No limit']);
  const pick = select([...options, ['own', 'My own number…']], known ? String(choices.thinking_budget) : 'own', (value) => {
    own.hidden = value !== 'own';
    if (value === 'own') own.focus();
    else choose({ thinking_budget: Number(value) });
  });
  const row = make('div', 'both');
  pick.setAttribute('aria-label', 'Thinking budget');
  row.append(pick, own);
  return group('Thinking budget', row);
}

function clip(file) {
  const change = (name) => (value) => { file.look[name] = value; measure(0); };
  const moment = (name, placeholder) => {
    const node = make('input');
    Object.assign(node, { type: 'text', value: file.look[name], placeholder, inputMode: 'decimal', autocomplete: 'off', maxLength: 12 });
    node.addEventListener('input', () => { file.look[name] = node.value; measure(PAUSE); });
    return node;
  };
  const span = make('div', 'both');
  span.append(field('From', moment('from', '0:00')), field('to', moment('to', 'the end')));
  const hint = make('p', 'hint', 'Detail holds for each pair of frames, and in all for 32 of them. A part longer than 5 minutes gets the frames of 5 minutes, spread over all of it.');
  const node = group(file.name, field('Frames', select(RATES, file.look.fps, change('fps'))), span, hint);
  node.querySelector('legend').translate = false;
  return node;
}

// --- files may be pasted wherever no other field is; in its own field Gradio takes pictures, and pictures alone ---
document.addEventListener('paste', (event) => {
  const pasted = [...(event.clipboardData?.files || [])], field = event.target.closest?.('input, textarea, dialog');
  if (!pasted.length || (field && !(field.closest('#box') && pasted.some((file) => !file.type.startsWith('image/'))))) return;
  event.preventDefault();
  event.stopPropagation();
  const carried = new DataTransfer();
  for (const file of pasted) carried.items.add(file);
  document.querySelector('#box .full-container')
    ?.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: carried }));
}, true);
