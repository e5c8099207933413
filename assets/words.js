// One line of words that comes and goes. Untrusted (file names): textContent only.
const line = element.querySelector('p');
const draw = () => {
  line.textContent = props.value || '';
  element.classList.toggle('empty', !props.value);
};
draw();
watch('value', draw);
