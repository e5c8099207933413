// The conversation's title in the header. Untrusted: textContent only.
const heading = element.querySelector('h1');
heading.translate = false;
const draw = () => { heading.textContent = props.value || ''; heading.title = props.value || ''; };
draw();
watch('value', draw);
