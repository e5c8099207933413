// Looking for words in the document that is open beside the chat: a field, and the pages on which they stand.
// Knows: how what was found is listed. Does not know: how a page is shown (viewer.js). Excerpts are untrusted.
(() => {
  const TYPING_MS = 250;
  const { make, theirs } = window.glmchat;

  // ask: the app, by a path under the document's address. choose: called with the words and a page that has them.
  function lookup({ ask, choose }) {
    const node = make('form', 'finder'), field = make('input'), count = make('p', 'count'), hits = make('ol', 'hits');
    Object.assign(field, { type: 'search', placeholder: 'Search in the document', autocomplete: 'off', spellcheck: false, maxLength: 200 });
    field.setAttribute('aria-label', 'Search in the document');
    count.setAttribute('role', 'status');
    node.setAttribute('role', 'search');
    node.hidden = true;
    node.append(field, count, hits);

    let typing = 0, tried = 0;
    async function seek() {
      const now = ++tried, wanted = field.value.trim();
      if (!wanted) return void empty();
      try {
        const found = await ask(`/find?q=${encodeURIComponent(wanted)}`);
        if (now === tried) list(found, wanted);
      } catch (error) {
        if (now === tried) empty(error.message);
      }
    }
    const empty = (said = '') => { hits.replaceChildren(); count.textContent = said; };

    function list({ hits: found, pages, places }, wanted) {
      hits.replaceChildren(...found.map((hit) => line(hit, wanted)));
      const first = places === 1 ? 'Found once.' : pages === 1 ? `Found ${places} times on one page.` : `Found ${places} times on ${pages} pages.`;
      const more = pages > found.length ? [' ', make('span', '', `The first ${found.length} pages are listed.`)] : [];
      count.replaceChildren(make('span', '', pages ? first : 'Not found in this document.'), ...more);
    }

    function line(hit, wanted) {
      const item = make('li'), open = make('button'), piece = theirs(make('span', 'piece'));
      open.type = 'button';
      open.append(theirs(make('b', '', String(hit.page))), piece);
      hit.excerpt.forEach((run, n) => piece.append(n % 2 ? make('mark', '', run) : run));
      open.addEventListener('click', () => {
        for (const other of hits.querySelectorAll('[aria-current]')) other.removeAttribute('aria-current');
        open.setAttribute('aria-current', 'true');
        choose(wanted, hit.page);
      });
      item.append(open);
      return item;
    }

    field.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(seek, TYPING_MS); });
    node.addEventListener('submit', async (event) => {
      event.preventDefault();
      clearTimeout(typing);
      await seek();
      hits.querySelector('button')?.click();
    });
    const clear = () => { ++tried; clearTimeout(typing); node.reset(); node.hidden = true; empty(); };
    return { node, clear, focus: () => { field.focus(); field.select(); } };
  }

  Object.assign((window.glmchat ||= {}), { lookup });
})();
