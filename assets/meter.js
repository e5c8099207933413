// What the draft costs: a thin bar and one line of words, below the composer. Words of the app: textContent only.
const root = element.querySelector('.meter'), bar = root.querySelector('i'), line = root.querySelector('p');
const draw = () => {
  const { words = '', share = 0, wrong = false } = props.value || {};
  line.textContent = words;
  bar.style.setProperty('--share', share);
  root.classList.toggle('wrong', wrong);
  root.classList.toggle('on', words !== '');
  if (wrong) line.setAttribute('role', 'alert');  // it changes with every pause in typing: only trouble is read out
  else line.removeAttribute('role');
};
draw();
watch('value', draw);
