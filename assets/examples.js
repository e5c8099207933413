// The cards of an empty chat. Event used from Python: 'ask_example'. The pictures are data: URLs of ours.
const root = element.querySelector('.examples');
const { make } = window.glmchat;

function card({ question, pictures, clip }) {
  const node = make('button', 'example');
  const tray = make('span', pictures.length > 1 ? 'tray two' : clip ? 'tray clip' : 'tray');
  for (const picture of pictures) {
    const image = make('img', '');
    image.alt = '';  // the question says what it is about
    image.src = picture;
    tray.append(image);
  }
  const words = make('span', 'words');
  words.textContent = question;
  node.append(tray, words);
  node.addEventListener('click', () => {
    trigger('ask_example', { question });
    // the cards go away: who came by keyboard is then where the next question is typed
    if (!matchMedia('(max-width: 767px)').matches) document.querySelector('#box textarea')?.focus();
  });
  return node;
}

const draw = () => root.replaceChildren(...(props.value || []).map(card));
draw();
watch('value', draw);
