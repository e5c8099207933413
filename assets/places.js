// Pictures with the places an answer points at: numbered, coloured, named on hover, to be copied and saved.
// Labels and names are untrusted: textContent only.
(() => {
  const SVG = 'http://www.w3.org/2000/svg';
  const COLOURS = ['#d13438', '#3e63dd', '#1d8153', '#b45309', '#8e4ec6', '#0a7896', '#c2307f', '#7c6f00'];
  const colour = (n) => COLOURS[(n - 1) % COLOURS.length];
  const { make } = window.glmchat;
  const shape = (tag, values) => {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(values)) node.setAttribute(key, value);
    return node;
  };
  const isPoint = (box) => box.length === 2;

  // --- one place: a rectangle or a dot in a drawing of 1000 x 1000, and its number in page pixels ---
  function mark({ n, box }) {
    const look = { stroke: colour(n), fill: colour(n), 'vector-effect': 'non-scaling-stroke' };
    if (isPoint(box)) return shape('line', { x1: box[0], y1: box[1], x2: box[0], y2: box[1], ...look, class: 'point' });
    return shape('rect', { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], ...look });
  }

  function badge({ n, box, label }) {
    const node = make('span', 'badge', String(n));
    node.style.left = `${box[0] / 10}%`;
    node.style.top = `${box[1] / 10}%`;
    node.style.background = colour(n);
    node.translate = false;
    if (label) node.append(make('span', 'label', label));
    return node;
  }

  function figure(picture) {
    const node = make('figure', 'places'), frame = make('div', 'frame'), image = make('img', '');
    const drawing = shape('svg', { viewBox: '0 0 1000 1000', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    node.translate = true;
    image.src = picture.src;
    image.alt = `${picture.name} with ${picture.places.length} marked`;
    frame.append(image, drawing);
    for (const place of picture.places) {
      const drawn = mark(place), number = badge(place);
      const light = (on) => { drawn.classList.toggle('on', on); number.classList.toggle('on', on); };
      for (const part of [drawn, number]) {
        part.dataset.place = place.n;
        part.addEventListener('mouseenter', () => light(true));
        part.addEventListener('mouseleave', () => light(false));
      }
      drawing.append(drawn);
      frame.append(number);
    }
    node.append(frame, tools(node, image, picture));
    return node;
  }

  // --- what can be done with it ---
  function tools(node, image, picture) {
    const bar = make('figcaption', '');
    const add = (text, act) => {
      const button = make('button', '', text);
      button.type = 'button';
      button.addEventListener('click', () => act(button));
      bar.append(button);
    };
    add('Hide marks', (button) => {
      button.textContent = node.classList.toggle('bare') ? 'Show marks' : 'Hide marks';
    });
    add('Copy JSON', async (button) => {
      await navigator.clipboard.writeText(JSON.stringify(described(image, picture), null, 1));
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy JSON'; }, 1500);
    });
    add('Save picture', () => save(image, picture));
    return bar;
  }

  function described(image, picture) {
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const pixels = (box) => box.map((number, i) => Math.round(number * (i % 2 ? height : width) / 1000));
    return {
      picture: picture.name, width, height,
      places: picture.places.map(({ n, box, label }) => ({ n, label, per_1000: box, pixels: pixels(box) })),
    };
  }

  function save(image, picture) {
    const canvas = make('canvas', ''), [width, height] = [image.naturalWidth, image.naturalHeight];
    const pen = canvas.getContext('2d'), thick = Math.max(2, Math.min(width, height) / 160);
    Object.assign(canvas, { width, height });
    pen.drawImage(image, 0, 0);
    pen.font = `600 ${thick * 6}px sans-serif`;
    pen.textBaseline = 'middle';
    pen.textAlign = 'center';
    for (const { n, box } of picture.places) {
      const [x, y, right, bottom] = box.map((number, i) => number * (i % 2 ? height : width) / 1000);
      const size = thick * 8;
      Object.assign(pen, { lineWidth: thick, strokeStyle: colour(n), fillStyle: colour(n) });
      if (!isPoint(box)) pen.strokeRect(x, y, right - x, bottom - y);
      pen.fillRect(x, y, size, size);
      pen.fillStyle = '#fff';
      pen.fillText(String(n), x + size / 2, y + size / 2);
    }
    canvas.toBlob((blob) => {
      const link = make('a', '');
      link.href = URL.createObjectURL(blob);
      link.download = `${picture.name.replace(/\.[^.]*$/, '')} marked.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    }, 'image/png');
  }

  // --- numbers in the text: coloured like their place, which lights up under the pointer ---
  function lightUp(event) {
    const link = event.target.closest?.('.chat a[data-place]');
    if (!link) return;
    const on = event.type === 'mouseover' || event.type === 'focusin';
    const row = link.closest('.message-row');
    row?.querySelectorAll(`.places [data-place="${link.dataset.place}"]`).forEach((n) => n.classList.toggle('on', on));
  }
  for (const kind of ['mouseover', 'mouseout', 'focusin', 'focusout']) document.addEventListener(kind, lightUp);

  function markLinks() {
    for (const link of document.querySelectorAll('.chat a[href^="#place-"]:not([data-place])')) {
      const n = Number(link.getAttribute('href').slice(7));
      if (!(n > 0)) continue;
      link.dataset.place = n;
      link.removeAttribute('target');
      link.style.setProperty('--place', colour(n));
    }
  }
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('.chat a[href^="#place-"]')) event.preventDefault();
  }, true);

  Object.assign((window.glmchat ||= {}), { figure, markLinks });
})();
