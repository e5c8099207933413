// Parts of the page made by its scripts, which all of them share. Loaded before them.
// Words go in as textContent: none of them is ever markup.
(() => {
  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text != null) node.textContent = text;
    return node;
  };
  const theirs = (node) => { node.translate = false; return node; };  // somebody's own words: language.js leaves them
  Object.assign((window.glmchat ||= {}), { make, theirs });
})();
