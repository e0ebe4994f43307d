// How one cell of a network's output is computed, as core.insight.forward_pass explains it.
// A cell is [row, channel, y, x]: the row counted from 1 (0 is the image), the others from 0.

// Decode what Python packed: all weights and outputs as float32 values in one text.
function readNetwork({ numbers, rows }, pixels) {
  const bytes = Uint8Array.from(atob(numbers), (character) => character.charCodeAt(0));
  return { numbers: new Float32Array(bytes.buffer), rows, pixels };
}

function valueAt({ rows, numbers }, [row, channel, y, x]) {
  const { values, shape: [, height, width] } = rows[row];
  const isInside = y >= 0 && y < height && x >= 0 && x < width;
  return isInside ? numbers[values + (channel * height + y) * width + x] : 0;
}

// The values of a channel in a window, with zeros for padding; `first` is the index of the first weight, if any.
function readPatch(network, row, channel, [top, left, height, width], first = null) {
  const values = [];
  for (let y = top; y < top + height; y++) {
    for (let x = left; x < left + width; x++) values.push(valueAt(network, [row, channel, y, x]));
  }
  const weights = first === null ? null : [...network.numbers.subarray(first, first + height * width)];
  return { row, channel, top, left, height, width, values, weights };
}

function patchTotal({ values, weights }) {
  return values.reduce((sum, value, index) => sum + (weights ? value * weights[index] : value), 0);
}

function explainWeighted(network, layer, [row, channel, y, x]) {
  const { start, inputs, height, width } = layer.weights;
  const top = y * layer.stride - layer.padding;
  const left = x * layer.stride - layer.padding;
  const first = Math.floor((channel * layer.groups) / layer.shape[0]) * inputs;
  const patches = Array.from({ length: inputs }, (_, input) => {
    const weight = start + (channel * inputs + input) * height * width;
    return readPatch(network, row - 1, first + input, [top, left, height, width], weight);
  });
  return { patches };
}

function explainWindow(network, { kernel, stride }, [row, channel, y, x]) {
  return { patches: [readPatch(network, row - 1, channel, [y * stride, x * stride, kernel, kernel])] };
}

const EXPLAIN = {
  conv: explainWeighted,
  linear: explainWeighted,
  maxpool(network, layer, cell) {
    const { patches } = explainWindow(network, layer, cell);
    const { values } = patches[0];
    return { patches, picked: values.indexOf(Math.max(...values)) };
  },
  avgpool(network, layer, cell) {
    return { ...explainWindow(network, layer, cell), count: layer.kernel ** 2 };
  },
  global_avgpool(network, layer, [row, channel]) {
    const [, height, width] = network.rows[row - 1].shape;
    return { patches: [readPatch(network, row - 1, channel, [0, 0, height, width])], count: height * width };
  },
  dropout(network, layer, [row, channel, y, x]) {
    return { patches: [readPatch(network, row - 1, channel, [y, x, 1, 1])] };
  },
  space_to_depth(network, { block }, [row, channel, y, x]) {
    const input = Math.floor(channel / block ** 2);
    const patches = [readPatch(network, row - 1, input, [y * block, x * block, block, block])];
    return { patches, picked: channel % block ** 2 };
  },
  add(network, layer, [row, channel, y, x]) {
    return { patches: [row - 1, layer.from].map((from) => readPatch(network, from, channel, [y, x, 1, 1])) };
  },
};

// The error function, to 1.5e-7 (Abramowitz and Stegun, 7.1.26).
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const terms = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const series = terms.reduce((sum, term) => (sum + term) * t, 0);
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const ACTIVATIONS = {
  none: (x) => x,
  relu: (x) => Math.max(x, 0),
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
};

function explainCell(network, cell) {
  const [row, channel, y, x] = cell;
  const value = valueAt(network, cell);
  const plain = { cell, others: { count: 0, total: 0 }, count: 1, picked: null, bias: null, norm: null,
    activation: "none", value };
  if (row === 0) return { ...plain, kind: "image", patches: [], total: network.pixels[28 * y + x] };
  const layer = network.rows[row];
  const made = { ...plain, kind: layer.kind, ...EXPLAIN[layer.kind](network, layer, cell) };
  made.total = made.picked === null
    ? made.patches.reduce((sum, patch) => sum + patchTotal(patch), 0)
    : made.patches[0].values[made.picked];
  made.activation = layer.activation;
  if (layer.bias !== null) made.bias = network.numbers[layer.bias + channel];
  if (layer.norm) {
    const [mean, variance, scale, shift] = layer.norm.starts.map((start) => network.numbers[start + channel]);
    const { epsilon } = layer.norm;
    const factor = scale / Math.sqrt(variance + epsilon);
    made.norm = { mean, variance, epsilon, scale, shift, factor, offset: shift - mean * factor };
  }
  return made;
}

// The result after each step that follows the patches: their mean or sum, the bias, the norm, the activation.
function resultsOf({ total, count, bias, norm, activation }) {
  const mean = total / count;
  const biased = mean + (bias ?? 0);
  const normed = norm ? biased * norm.factor + norm.offset : biased;
  return { mean, biased, normed, activated: ACTIVATIONS[activation](normed) };
}
