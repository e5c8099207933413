// Parts of the page made by its scripts, which all of them share. Loaded before them.
// Words go in as textContent: none of them is ever markup.
(() => {
  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text != null) node.textContent = text;
    return node;
  };
  const press = (words, then, name) => {
    const node = make('button', name, words);
    node.type = 'button';
    node.addEventListener('click', () => then(node));
    return node;
  };
  const SURE = 6000;  // ms in which a second click is meant
  const sure = (words, question, then) => press(words, (node) => {  // asks once more, in its own place
    if (node.dataset.sure) return then();
    node.dataset.sure = 'yes';
    node.textContent = question;
    setTimeout(() => { delete node.dataset.sure; node.textContent = words; }, SURE);
  });
  // What the demo model cannot do; the same words as in ui/layout.py stand above the composer.
  function unable(name) {
    const node = make('p', name), models = press('Choose a model', () => {}, 'link');
    models.dataset.do = 'models';  // page.js opens them
    models.setAttribute('aria-haspopup', 'dialog');
    node.append(make('span', '', 'The demo model cannot read documents.'), ' ', models, ' ', make('span', '', 'to ask about them.'));
    return node;
  }
  const theirs = (node) => { node.translate = false; return node; };  // somebody's own words: language.js leaves them
  Object.assign((window.glmchat ||= {}), { make, press, sure, unable, theirs });
})();
