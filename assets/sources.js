// What an answer read and what it quotes: lines under it and numbers in its text, each a way to the page (viewer.js).
// Titles, headings and quoted words are untrusted: textContent only.
(() => {
  const { make, theirs } = window.glmchat;
  // "page 7" and "slide 3" are ours; a heading or the name of a sheet is the document's
  const label = (text) => (/^(page|slide) \d+$/.test(text) ? make('span', '', text) : theirs(make('span', '', text)));

  function line(name, open, ...content) {
    const node = make('li'), inner = make(open ? 'button' : 'p', name);
    inner.append(...content);
    if (open) {
      inner.type = 'button';
      inner.setAttribute('aria-haspopup', 'dialog');
      inner.addEventListener('click', () => window.glmchat.view(open, inner));
    }
    node.append(inner);
    return node;
  }

  const read = (one) => line('source whole', one.document === null ? null : one, theirs(make('span', 'title', one.title)), ': ', make('span', '', one.words));

  function quoted(quote) {
    const place = quote.verified ? [theirs(make('span', 'title', quote.title)), ', ', label(quote.label)] : [make('span', '', 'not found in the documents')];
    if (quote.verified && quote.transcribed) place.push(', ', make('span', '', 'transcribed by the model'));
    const words = quote.words ? [': ', theirs(make('span', '', `“${quote.words}”`))] : [];
    return line('source', quote.document === null ? null : quote, theirs(make('b', '', `[${quote.number}]`)), ' ', ...place, ...words);
  }

  // Every quotation once, however often the answer repeats it.
  const once = (quotes) => [...new Map(quotes.map((one) => [JSON.stringify([one.number, one.words]), one])).values()];

  function sources({ quotes, read: books, unproven, demo }) {
    const node = make('section', 'sources'), list = make('ul');
    node.translate = true;  // ours, in the middle of what is not
    node.setAttribute('aria-label', 'Sources');
    list.append(...books.map(read), ...once(quotes.filter((one) => one.checked)).map(quoted));
    if (list.children.length) node.append(list);
    if (demo) node.append(window.glmchat.unable('unproven'));
    if (unproven) node.append(make('p', 'unproven', 'No quotation of this answer was found in the documents. Check it before you rely on it.'));
    return node;
  }

  // --- the numbers in the text: only those that the app wrote, which no answer can write itself ---
  const targets = new WeakMap();
  function linkQuotes(row, value) {
    for (const link of row.querySelectorAll('a[href^="#quote-"]')) {
      const href = link.getAttribute('href'), quote = value && href.startsWith(value.prefix) && value.quotes[Number(href.slice(value.prefix.length))];
      targets.delete(link);
      if (!quote || quote.document === null) { delete link.dataset.quote; continue; }
      targets.set(link, quote);
      if (link.dataset.quote) continue;
      link.dataset.quote = !quote.verified ? 'missing' : quote.transcribed ? 'transcribed' : 'found';
      link.removeAttribute('target');
      link.translate = true;
      link.setAttribute('role', 'button');
      link.setAttribute('aria-haspopup', 'dialog');
      link.setAttribute('aria-label', quote.verified ? `Show quotation ${quote.number} on its page` : `Show the page of quotation ${quote.number}, which was not found`);
    }
  }
  const quoteOf = (event) => targets.get(event.target.closest?.('.chat a[data-quote]'));
  document.addEventListener('click', (event) => {
    const quote = quoteOf(event);
    if (!quote) return;
    event.preventDefault();
    window.glmchat.view(quote, event.target.closest('a'));
  }, true);
  document.addEventListener('keydown', (event) => {
    if (event.key !== ' ' || !quoteOf(event)) return;  // a button answers to the space bar too
    event.preventDefault();
    event.target.closest('a').click();
  });

  Object.assign((window.glmchat ||= {}), { sources, linkQuotes });
})();
