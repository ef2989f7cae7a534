// Helpers. Texts of the data become text nodes and attributes, never markup.
const report = JSON.parse(document.getElementById('data').textContent);
const dark = matchMedia('(prefers-color-scheme: dark)');
const still = matchMedia('(prefers-reduced-motion: reduce)');
const LIGHTER = ['#4FA8E0', '#F2833A', '#2BC495', '#E79CC6', '#8AD2F7', '#F2BC3D', '#B98FDD', '#B4B4B4'];
const MARKERS = ['o', '^', 's', 'D', 'v', 'P', 'X', '*'];
const runName = number => report.runs[number].name;

function colour(number) {
  return (dark.matches ? LIGHTER : report.colours)[number % report.colours.length];
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// An element with attributes; functions are listeners of events, other children are text.
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== ''));
  return element;
}

function section(id, title, ...children) {
  document.querySelector('nav').append(el('a', {href: `#${id}`}, title));
  const node = el('section', {id, 'aria-labelledby': `${id}-title`}, el('h2', {id: `${id}-title`}, title), ...children);
  document.querySelector('main').append(node);
  return node;
}

function missing(text) {
  return el('p', {class: 'missing'}, text);
}

function swatch(number) {
  const mark = el('span', {class: 'run', 'aria-hidden': 'true'});
  const paint = () => { mark.style.background = colour(number); };
  paint();
  dark.addEventListener('change', paint);
  return mark;
}

function choice(label, options, change, chosen = 0) {
  const select = el('select', {'aria-label': label, change: () => change(Number(select.value))});
  options.forEach((text, number) => select.append(el('option', {value: number, selected: number === chosen}, text)));
  return el('label', {}, label, select);
}

const percent = value => value === null || value === undefined ? '–' : value.toFixed(1);
const signed = value => value === null || value === undefined ? '–' : (value < 0 ? '−' : '+') + Math.abs(value).toFixed(1);
const plural = (count, word) => `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;

// A canvas with as many pixels as the screen shows, drawn when it gets a size, is resized, or the theme changes.
function crisp(canvas, draw) {
  const redraw = () => {
    const {clientWidth, clientHeight} = canvas;
    if (!clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(clientWidth * ratio), height = Math.round(clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
    draw(canvas.getContext('2d'), width, height, ratio);
  };
  new ResizeObserver(redraw).observe(canvas);
  dark.addEventListener('change', redraw);
  return redraw;
}
