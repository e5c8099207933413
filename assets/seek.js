// Times in an answer about a video become links that show that moment in its player.
// This is done to the finished page, not to the answer's Markdown: what is stored, copied and streamed stays as
// the model wrote it, code and links cannot be mistaken for words, and a time in the last words is linked once.
// Text that comes from the model is never made into markup: existing text nodes are split and wrapped.
(() => {
  const NUMBER = String.raw`\d{1,5}(?:\.\d{1,3})?`;
  const UNIT = String.raw`(?:[\s-]?(?:seconds?|secs?|s)(?![\w/])|\s?秒)`;
  const MINUTES = String.raw`(?:\s?(?:minutes?|mins?|m)(?![a-z])|\s?分钟?)`;
  const FORMS = new RegExp([
    String.raw`(?:(?<hours>\d{1,2}):(?=[0-5]\d:))?(?<minutes>\d{1,3}):(?<seconds>[0-5]\d(?:\.\d{1,3})?)(?![\d:%]|\s?[ap]\.?m\b)`,
    String.raw`(?<min>\d{1,3})${MINUTES},?\s?(?:and\s)?(?<sec>${NUMBER})${UNIT}`,
    String.raw`(?<from>${NUMBER})(?=(?:\s?[-–—~]\s?|\s(?:to|and|through)\s)${NUMBER}${UNIT})`,
    String.raw`(?<number>${NUMBER})${UNIT}`,
    String.raw`\bseconds?\s(?<named>${NUMBER})(?![\w:])`,
  ].join('|'), 'gi');
  // How long something takes is no moment, and neither is a piece of a longer number or word.
  const LASTS = new RegExp(
    String.raw`(?:\b(?:for|lasts?|lasting|every|within|takes?|took|first|next|final|another|only|per|total(?: of)?|duration(?: of| is|:)?|length(?: of| is|:)?)\s(?:about\s|around\s|approximately\s|roughly\s|nearly\s|almost\s|just\s|the\s)*|[\w.,:/$€£¥#@]|(?:^|[^\ds秒])-)$`, 'i');
  const LONG = /^[\s-]?(?:long\b|later\b|clips?\b|videos?\b|of\b(?!\s(?:the|this)\s(?:video|clip))|apart\b|each\b|per\b|in (?:length|duration|total)\b|intervals?\b)/i;
  const ORDER = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth'];
  const BLOCK = 'p, li, td, th, h1, h2, h3, h4, h5, h6, blockquote, pre, div, dt, dd';

  // The moments a text speaks of: where each is written, and its second.
  function times(text) {
    const found = [];
    for (const match of text.matchAll(FORMS)) {
      const at = match.index, end = at + match[0].length, part = match.groups;
      if (LASTS.test(text.slice(Math.max(0, at - 60), at)) || LONG.test(text.slice(end, end + 30))) continue;
      const second = part.seconds != null
        ? Number(part.hours || 0) * 3600 + Number(part.minutes) * 60 + Number(part.seconds)
        : part.min != null ? Number(part.min) * 60 + Number(part.sec) : Number(part.from ?? part.number ?? part.named);
      found.push({ at, end, second });
    }
    return found;
  }

  // Where a text names one of the videos, by its file's name or by its place among them.
  function mentions(text, videos) {
    const found = [], low = text.toLowerCase();
    videos.forEach((video) => {
      const whole = video.name.toLowerCase(), bare = whole.replace(/\.[^.]*$/, '');
      const name = bare.length > 3 ? bare : whole;  // a name like "a" is in every text
      for (let at = name ? low.indexOf(name) : -1; at >= 0; at = low.indexOf(name, at + name.length)) found.push({ at, video });
    });
    const counted = /\b(?:(first|second|third|fourth|fifth|sixth|last)\s(?:video|clip)|(?:video|clip)\s#?(\d{1,2}))\b/g;
    for (const match of low.matchAll(counted)) {
      const n = match[2] ? Number(match[2]) - 1 : match[1] === 'last' ? videos.length - 1 : ORDER.indexOf(match[1]);
      if (videos[n]) found.push({ at: match.index, video: videos[n] });
    }
    return found.sort((a, b) => a.at - b.at);
  }

  const clock = (second) => {
    const whole = Math.floor(second), two = (n) => String(n).padStart(2, '0');
    const rest = Math.round((second - whole) * 10), hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    if (rest === 10) return clock(whole + 1);
    return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}${rest ? `.${rest}` : ''}`;
  };

  // --- the words of one answer, in order, with the nodes they stand in ---
  function words(row) {
    const nodes = [];
    let text = '', block = null;
    for (const prose of row.querySelectorAll('.message-content .prose')) {
      if (prose.closest('.thought-group')) continue;
      const walker = document.createTreeWalker(prose, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const node = walker.currentNode, own = node.parentElement.closest(BLOCK);
        if (own !== block) text += '\n';
        block = own;
        // Gradio remembers the outermost nodes to take them away again: those are left whole
        const free = node.parentElement !== prose && !node.parentElement.closest('code, pre, a, button, svg, .katex');
        nodes.push({ node, at: text.length, free });
        text += node.data;
      }
    }
    return { nodes, text };
  }

  const done = new WeakMap();  // row -> { key: the videos, nodes: what stood there } its links were made from
  const targets = new WeakMap();  // link -> { video, second, row }
  const first = (row) => [...row.querySelectorAll('.message-content .prose')].map((prose) => prose.firstChild);
  const same = (a, b) => a.length === b.length && a.every((node, n) => node === b[n]);

  // media: as in saw.py. Of several videos the one named last before a time is meant, else the last one.
  function linkTimes(row, media) {
    const videos = media.filter((one) => one.video && one.src), old = done.get(row);
    const key = JSON.stringify(videos.map(({ src, name, length }) => [src, name, length]));
    if (old?.key === key && same(old.nodes, first(row))) return;
    unwrap(row);
    const { nodes, text } = videos.length ? words(row) : { nodes: [], text: '' }, named = mentions(text, videos);
    for (const { at, end, second } of times(text).reverse()) {
      const place = nodes.findLast((one) => one.at <= at);
      const video = named.findLast((one) => one.at < at)?.video || videos[videos.length - 1];
      if (place.free && end <= place.at + place.node.length && second <= Math.ceil(video.length))
        wrap(place.node, at - place.at, end - place.at, { video, second, row });
    }
    done.set(row, { key, nodes: first(row) });
  }

  // A row may come to show another conversation without its words being drawn anew, where they are the same.
  function unwrap(row) {
    for (const link of row.querySelectorAll('a.seek')) {
      const parent = link.parentElement;
      link.replaceWith(link.textContent);
      parent.normalize();
    }
  }

  function wrap(node, at, end, target) {
    const link = document.createElement('a'), words = document.createElement('span'), rest = node.splitText(end);
    link.className = 'seek';
    link.href = `#seek=${target.second}`;
    link.title = `Show ${clock(target.second)} of ${target.video.name}`;
    link.translate = true;  // the title is ours, the words are not
    words.translate = false;
    words.append(node.splitText(at));
    link.append(words);
    rest.before(link);
    targets.set(link, target);
  }

  // --- the player of a video: the nearest one above ---
  function seek(src, second, near) {
    const players = [...document.querySelectorAll('.chat .user-row video')]
      .filter((video) => new URL(video.src, location).pathname === src);
    const above = players.filter((video) => near.compareDocumentPosition(video) & Node.DOCUMENT_POSITION_PRECEDING);
    const player = above.pop() || players.pop();
    if (!player) return;
    player.pause();
    player.currentTime = second + 0.001;  // moments are rounded: never the frame before
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    player.scrollIntoView({ block: 'center', behavior: still ? 'auto' : 'smooth' });
    player.animate([{ outline: '3px solid #6d68f5' }, { outline: '3px solid transparent' }], 1400);
  }

  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('.chat a[href^="#"]');
    if (!link) return;
    event.preventDefault();  // the address of the page is ours
    const target = targets.get(link);
    if (target) seek(target.video.src, target.second, target.row);
  }, true);

  Object.assign((window.glmchat ||= {}), { times, linkTimes, seek, clock });
})();
