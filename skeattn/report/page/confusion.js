// Confusion matrices of one protocol, a column per run, above the table of its classes.
function showClasses() {
  const node = section('classes', 'Classes');
  if (!report.classes.length) {
    node.append(missing('No record holds predictions by class; tools/test.py writes them for knn, linear and probe.'));
    return;
  }
  const shown = el('div');
  const show = number => shown.replaceChildren(...classParts(report.classes[number]));
  node.append(el('div', {class: 'controls'}, choice('protocol, features', report.classes.map(one => one.title), show)), shown);
  show(0);
}

function classParts(result) {
  const matrices = result.runs.map(one => one.reason ? el('div', {}, el('h3', {}, swatch(one.run), runName(one.run)), missing(one.reason)) : matrix(one));
  const gains = result.gains.map(one => el('p', {class: one.reason ? 'missing' : 'note'}, one.reason ? `${runName(one.run)} over ${runName(one.baseline)}: ${one.reason}` : `${runName(one.run)} over ${runName(one.baseline)}: ${signed(one.mean)} points, mean over classes.`));
  const table = classTable(result);
  if (matrices.length > 1) return [...gains, table, el('div', {class: 'columns'}, matrices)];
  return [...gains, el('div', {class: 'columns'}, table, matrices)];
}

function matrix({run, classes, confusion, confused, scores_of: scores}) {
  const K = classes.length, sums = confusion.map(row => row.reduce((sum, count) => sum + count, 0));
  const share = (i, j) => sums[i] ? confusion[i][j] / sums[i] : 0;
  const canvas = el('canvas', {tabindex: 0, role: 'img', 'aria-label': `Confusion matrix of ${runName(run)}, ${K} classes. Arrow keys read the cells.`});
  canvas.style.aspectRatio = '1';
  const readout = el('p', {class: 'readout', 'aria-live': 'polite'}, 'Point at a cell, or use the arrow keys.');
  let cell = null, edge = 0;
  const redraw = crisp(canvas, (context, width, height, ratio) => {
    const [r, g, b] = dark.matches ? [98, 181, 232] : [0, 92, 150], font = size => `${Math.round(size)}px system-ui, sans-serif`;
    const text = Math.max(9 * ratio, Math.min(13 * ratio, width / K * 0.42));
    context.font = font(text);
    edge = K > 40 ? 0 : Math.min(0.34 * width, Math.max(...classes.map(name => context.measureText(name).width)) + 0.6 * text);
    const size = (width - edge) / K;
    context.clearRect(0, 0, width, height);
    context.fillStyle = css('fill');
    context.fillRect(edge, edge, width, height);
    if (edge) classes.forEach((name, i) => drawNames(context, name, edge, (i + 0.5) * size, text));
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.font = font(size * 0.38);
    for (let i = 0; i < K; i++) {
      for (let j = 0; j < K; j++) {
        if (!confusion[i][j]) continue;
        context.fillStyle = `rgba(${r}, ${g}, ${b}, ${0.08 + 0.92 * share(i, j)})`;
        context.fillRect(edge + j * size + 0.5, edge + i * size + 0.5, size - 1, size - 1);
        if (size > 20 * ratio && share(i, j) >= 0.01) {
          context.fillStyle = share(i, j) > 0.5 ? css('card') : css('ink');
          context.fillText((100 * share(i, j)).toFixed(0), edge + (j + 0.5) * size, edge + (i + 0.5) * size);
        }
      }
    }
    if (cell) {
      context.strokeStyle = css('ink');
      context.lineWidth = 2 * ratio;
      context.strokeRect(edge + cell[1] * size, edge + cell[0] * size, size, size);
    }
  });
  const show = (i, j) => {
    cell = [i, j];
    readout.textContent = `${classes[i]} recognised as ${classes[j]}: ${confusion[i][j]} of ${plural(sums[i], 'clip')} (${(100 * share(i, j)).toFixed(0)} %)`;
    redraw();
  };
  canvas.addEventListener('pointermove', event => {
    const box = canvas.getBoundingClientRect(), names = edge * box.width / canvas.width;
    const at = value => Math.max(0, Math.min(K - 1, Math.floor((value - names) / (box.width - names) * K)));
    show(at(event.clientY - box.top), at(event.clientX - box.left));
  });
  canvas.addEventListener('keydown', event => {
    const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
    if (!step) return;
    event.preventDefault();
    const [i, j] = cell || [0, 0], inside = value => Math.max(0, Math.min(K - 1, value));
    show(inside(i + (cell ? step[0] : 0)), inside(j + (cell ? step[1] : 0)));
  });
  const pairs = confused.map(one => [classes[one.true], classes[one.predicted], el('td', {class: 'number'}, String(one.clips)), el('td', {class: 'number'}, one.percent.toFixed(0))]);
  return el('figure', {class: 'matrix'},
    el('h3', {}, swatch(run), runName(run)),
    el('p', {class: 'note'}, `Rows: true class, columns: recognised as; percent of the row.${scores ? ` Predictions: ${scores}.` : ''}`),
    canvas, readout,
    el('details', {}, el('summary', {}, 'Most confused'), table('Most confused classes', ['true', 'recognised as', 'clips', '%'], pairs)));
}

// A class at the left of its row and above its column.
function drawNames(context, name, edge, at, text) {
  const gap = 0.4 * text;
  let shown = name;
  while (shown.length > 1 && context.measureText(shown).width > edge - gap) shown = `${shown.slice(0, -2)}…`;
  context.fillStyle = css('soft');
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  context.fillText(shown, edge - gap, edge + at);
  context.save();
  context.translate(edge + at, edge - gap);
  context.rotate(-Math.PI / 2);
  context.textAlign = 'left';
  context.fillText(shown, 0, 0);
  context.restore();
}
