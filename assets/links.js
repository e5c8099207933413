// Links and pictures that an answer writes. Nothing is fetched from anywhere: the page's policy forbids it, and
// what would be a broken picture is its address in words. A link opens beside the app, and says where it leads.
(() => {
  const OWN = /^(data:image\/|blob:)/i;

  function quietMedia() {
    for (const node of document.querySelectorAll('.chat .prose :is(img, video, audio, iframe, object, embed)')) {
      const address = node.getAttribute('src') || node.getAttribute('data') || '';
      if (node.localName === 'img' && OWN.test(address)) continue;
      const words = document.createElement('span');
      words.className = 'not-loaded';
      words.translate = true;
      words.title = 'GLM Chat loads nothing from elsewhere.';
      words.textContent = `Not loaded: ${[node.getAttribute('alt'), address].filter(Boolean).join(', ') || node.localName}`;
      node.replaceWith(words);
    }
    for (const link of document.querySelectorAll('.chat .prose a[href]:not([href^="#"], [data-leads])')) {
      beside(link);
      link.dataset.leads = link.title = link.href;
    }
  }

  const beside = (link) => Object.assign(link, { target: '_blank', rel: 'noopener noreferrer' });
  // At the click once more: an answer that is still arriving may have been drawn anew since.
  for (const kind of ['click', 'auxclick']) document.addEventListener(kind, (event) => {
    const link = event.target.closest?.('.chat .prose a[href]');
    if (link && !link.getAttribute('href').startsWith('#')) beside(link);
  }, true);

  Object.assign((window.glmchat ||= {}), { quietMedia });
})();
