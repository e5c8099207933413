// The settings window. Event used from Python: 'settings_action'. Names and prompts: textContent and value only.
const dialog = element.querySelector('dialog');
const { make, press, sure } = window.glmchat;
const send = (action, more = {}) => trigger('settings_action', { action, ...more });
const read = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
let draft = null;  // the choices as they stand in the window: an answer of the app never takes back newer ones
let fresh = true;  // the window was opened, and what the app says next fills it
let lists = '';  // what is listed in it, to see when it changes

function line(label, field, hint) {
  const node = make('label', 'line');
  field.setAttribute('aria-label', label);
  if (hint) field.setAttribute('aria-description', hint);
  node.append(make('span', 'name', label), field);
  if (hint) node.append(make('span', 'hint', hint));
  return node;
}

function pick(options, chosen, then) {  // [value, words, whether they stay as they are in any language]
  const node = make('select');
  for (const [value, words, theirs] of options) {
    const option = make('option', '', words);
    option.value = value;
    if (theirs) option.translate = false;
    option.selected = value === chosen;
    node.append(option);
  }
  node.addEventListener('change', () => then(node.value));
  return node;
}

function number(value, min, max, step, then) {
  const node = make('input');
  Object.assign(node, { type: 'number', min, max, step, value });
  node.addEventListener('change', () => { if (node.value !== '' && node.checkValidity()) then(Number(node.value)); });
  return node;
}

const DETAIL = { low: 'Low', medium: 'Medium', full: 'Full' };
function toggle(on, then) {
  const node = make('input');
  Object.assign(node, { type: 'checkbox', checked: on });
  node.addEventListener('change', () => then(node.checked));
  return node;
}

const choose = (name) => (value) => { draft[name] = value; send('choices', { choices: draft }); };

// --- sections ---
function section(title, ...lines) {
  const node = make('section');
  node.append(make('h3', '', title), ...lines);
  return node;
}

function answers(value) {
  const presets = Object.entries(value.presets).map(([name, figures]) =>
    [name, figures ? `${name} (${figures[0]} · ${figures[1]})` : name]);
  const preset = (name) => { choose('preset')(name); render(value); };  // one's own has more lines
  const lines = [line('Sampling', pick(presets, draft.preset, preset), 'Temperature and top-p for the kind of work.')];
  if (!value.presets[draft.preset]) {
    lines.push(line('Temperature', number(draft.temperature, 0, 2, 0.05, choose('temperature')), '0 always takes the likeliest word.'));
    lines.push(line('Top-p', number(draft.top_p, 0.01, 1, 0.01, choose('top_p'))));
  }
  const details = Object.entries(value.details).map(([name, most]) =>
    [name, `${DETAIL[name]}: ${most ? `at most ${most.toLocaleString('en')} tokens a picture` : 'as the model was made for'}`]);
  lines.push(line('Picture detail', pick(details, draft.detail, choose('detail')), 'Fewer tokens are read sooner and show less.'));
  lines.push(line('Longest answer', number(draft.max_tokens, 1, 65536, 1, choose('max_tokens')), 'In tokens, thinking included.'));
  lines.push(line('Thinking budget', number(draft.thinking_budget, 0, 65536, 1, choose('thinking_budget')), 'In tokens; 0 lets it think as long as it likes.'));
  lines.push(line('Titles by the model', toggle(value.titles, (wanted) => send('titles', { wanted })), 'Asked for after the first answer, when nothing else waits.'));
  return section('Answers', ...lines);
}

function prompts(value) {
  const field = make('textarea');
  Object.assign(field, { value: draft.system, rows: 4, placeholder: 'What the model is told before every conversation' });
  field.addEventListener('change', () => choose('system')(field.value));
  const list = pick([['', 'Choose a saved prompt…'], ...value.prompts.map((one, n) => [String(n), one.name, true])], '', (n) => {
    if (n !== '') choose('system')(field.value = value.prompts[n].text);
  });
  const name = make('input'), foot = make('div', 'row');
  Object.assign(name, { placeholder: 'Name', maxLength: 80 });
  name.setAttribute('aria-label', 'Name of the prompt');
  list.setAttribute('aria-label', 'Saved prompts');
  field.setAttribute('aria-label', 'System prompt');
  const others = () => value.prompts.filter((one) => one.name !== name.value.trim());
  foot.append(list, name, press('Save as', () => {
    if (name.value.trim()) send('prompts', { prompts: [...others(), { name: name.value, text: field.value }] });
  }), press('Remove', () => { if (name.value.trim()) send('prompts', { prompts: others() }); }));
  return section('System prompt', field, foot);
}

function look() {
  const theme = pick([['', 'As the system'], ['light', 'Light'], ['dark', 'Dark']], read('theme') || '', window.glmchat.setTheme);
  const size = pick([['14', 'Small'], ['15', 'Medium'], ['17', 'Large'], ['20', 'Largest']], read('text') || '15', window.glmchat.setText);
  const languages = [['', 'As the system'], ['en', 'English', true], ['zh', '中文', true]];
  const language = pick(languages, read('language') || '', window.glmchat.setLanguage);
  return section('Look', line('Language', language), line('Theme', theme), line('Text size', size));
}

function data(value) {
  const size = value.bytes < 1e6 ? `${Math.ceil(value.bytes / 1e3)} kB` : `${(value.bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })} MB`;
  const list = make('ul');
  for (const one of value.backups) {
    const copy = make('li');
    copy.append(make('span', '', one.when), ' ', make('code', '', one.name));
    list.append(copy);
  }
  if (!value.backups.length) list.append(make('li', '', 'none yet'));
  const where = make('p', 'where');
  where.append('Everything lies in ', make('code', '', value.home), `, ${size}. It is backed up every day; deleted words stay in those copies for a week.`);
  const back = make('p', 'hint');
  back.append('To go back to a copy, quit the app and run ', make('code', '', './scripts/run backup --restore FILE'));
  const row = make('div', 'row'), file = make('input');
  Object.assign(file, { type: 'file', accept: '.zip,.json', hidden: true });
  file.addEventListener('change', () => { if (file.files[0]) take(file.files[0]); file.value = ''; });
  row.append(
    press('Export all as Markdown', () => window.glmchat.download('/export/markdown')),
    press('Export all as JSON', () => window.glmchat.download('/export/json')),
    importer, file,
  );
  const into = make('p', 'hint', 'Reads its own JSON and the exports of ChatGPT and Claude. An import only adds. Exports are not encrypted.');
  return section('Data', where, row, into, make('h4', '', 'Backups'), list, press('Back up now', () => send('back_up')), back);
}

// A file is sent as it is and read by the app, which says how far it is; what came of it is said in words.
const LOOK = 700;  // ms
let under = '';  // the name of the import under way
const importer = press('Import…', (node) => (under ? post('/import/stop', { n: under }) : node.parentElement.querySelector('input[type=file]').click()));
async function take(file) {
  const name = under = crypto.randomUUID();
  importer.textContent = 'Stop importing';
  tell(`Importing ${file.name}…`);
  const looking = setInterval(async () => {
    const { words } = await fetch(`/import?n=${name}`).then((answer) => answer.json()).catch(() => ({}));
    if (words && under === name) tell(words);
  }, LOOK);
  try {
    const headers = { 'x-file-name': encodeURIComponent(file.name), 'x-import': name };
    const answer = await fetch('/import', { method: 'POST', headers, body: file });
    const { words, skipped = [] } = await answer.json();
    const told = [words, ...skipped].join('\n');
    under = '';
    tell(told);
    if (answer.ok) trigger('settings_action', { action: 'imported', words: told });
  } catch {
    under = '';
    tell(`${file.name} could not be sent to the app. Nothing was imported. Try again.`);
  } finally {
    clearInterval(looking);
    importer.textContent = 'Import…';
  }
}

// The model's memory, and the end of the app. What is told comes over plain addresses: see controls.py.
const MINUTES = [[0, 'Never'], [5, 'After 5 minutes'], [15, 'After 15 minutes'], [30, 'After 30 minutes'], [60, 'After an hour'], [240, 'After 4 hours']];
async function post(address, body) {
  try {
    const answer = await fetch(address, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return answer.ok;
  } catch { return false; }
}
async function quit() {
  window.glmchat.ending = true;
  tell('Storing what is being answered…');
  if (await post('/quit', {})) return location.replace('/ended');
  window.glmchat.ending = false;
  tell('The app does not answer. Is it still running?');
}
function model() {
  const idle = pick(MINUTES.map(([minutes, words]) => [String(minutes), words]), String(window.glmchat.now?.idle || 0), async (minutes) => {
    if (await post('/rest', { minutes: Number(minutes) })) tell('Kept.');
    window.glmchat.look();
  });
  const row = make('div', 'row');
  row.append(
    press('Models…', () => window.glmchat.models()),
    press('Unload now', async () => { if (await post('/rest', {})) tell('The model gives its memory back as soon as it has answered. The next question loads it again.'); }),
    sure('Quit GLM Chat', 'Really quit? Answers under way end here', quit),
  );
  return section('Model', line('Unload when idle', idle, 'Gives the memory back to other programs; the next question waits until the model is loaded again.'), row);
}

// --- the window ---
function tell(words) {  // a sentence on each line
  dialog.querySelector('.told').replaceChildren(...words.split('\n').map((one) => make('span', '', one)));
}

function draw() {
  const value = props.value;
  if (!value?.choices) return;
  if (fresh) draft = { ...value.choices };
  const now = JSON.stringify([value.prompts, value.backups]);
  if (fresh || now !== lists) render(value);
  else tell(value.told || '');
  [fresh, lists] = [false, now];
}

function render(value) {
  const top = dialog.querySelector('.body')?.scrollTop || 0, body = make('div', 'body'), head = make('header');
  head.append(make('h2', '', 'Settings'), press('Done', () => dialog.close()));
  const told = make('p', 'told');
  told.setAttribute('role', 'status');
  body.append(answers(value), prompts(value), model(), look(), data(value));
  dialog.replaceChildren(head, told, body);
  tell(value.told || '');
  body.scrollTop = top;
}
watch('value', draw);
window.glmchat.settings = () => { fresh = true; send('look'); dialog.showModal(); };
dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
draw();
