
// The network's forward pass for one picture. A row's values are one array: channel by channel, line by line.
// After a convolution with `weight`, each channel is multiplied by its `scale` and its `shift` is added: batch norm, or the
// bias alone.

// The error function: Abramowitz and Stegun, formula 7.1.26, to within 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const rest = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - rest * Math.exp(-x * x));
}

const ACTIVATIONS = {
  none: null,
  relu: (x) => (x > 0 ? x : 0),
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
};

// Each function computes a layer's output from its input; `add` also reads the outputs of earlier rows.
const OPERATIONS = {
  conv: convolve,
  maxpool: (layer, input) => pool(layer, input, true),
  avgpool: (layer, input) => pool(layer, input, false),
  global_avgpool: averageChannels,
  dropout: (layer, input) => input, // which drops values in training only
  space_to_depth: foldBlocks,
  add: ({ row }, input, outputs) => input.map((value, index) => value + outputs[row.from - 1][index]),
  linear: multiply,
};

function sizeOf(shape) {
  return shape.reduce((product, length) => product * length, 1);
}

function convolve({ row, input: [channels, height, width], output: [count, down, across], weight, scale, shift }, x) {
  const { kernel, stride, padding, groups } = row;
  const [tall, wide] = [height + 2 * padding, width + 2 * padding];
  const padded = new Float64Array(channels * tall * wide);
  for (let line = 0; line < channels * height; line += 1) {
    const to = (Math.floor(line / height) * tall + (line % height) + padding) * wide + padding;
    padded.set(x.subarray(line * width, (line + 1) * width), to);
  }
  // Offsets of a window's values from its first one.
  const perGroup = channels / groups;
  const places = Int32Array.from({ length: perGroup * kernel * kernel }, (_, tap) => {
    const line = Math.floor(tap / kernel);
    return (Math.floor(line / kernel) * tall + (line % kernel)) * wide + (tap % kernel);
  });
  const taps = places.length;
  const out = new Float64Array(count * down * across);
  let at = 0;
  for (let channel = 0; channel < count; channel += 1) {
    const first = Math.floor(channel / (count / groups)) * perGroup * tall * wide;
    const [own, factor, term] = [channel * taps, scale ? scale[channel] : 1, shift ? shift[channel] : 0];
    for (let y = 0; y < down; y += 1) {
      for (let place = 0; place < across; place += 1, at += 1) {
        const corner = first + (y * wide + place) * stride;
        let sum = 0;
        for (let tap = 0; tap < taps; tap += 1) sum += weight[own + tap] * padded[corner + places[tap]];
        out[at] = sum * factor + term;
      }
    }
  }
  return out;
}

function pool({ row: { kernel, stride }, input: [channels, height, width], output }, x, isMax) {
  const [, down, across] = output;
  const out = new Float64Array(sizeOf(output));
  let at = 0;
  for (let channel = 0; channel < channels; channel += 1) {
    for (let y = 0; y < down; y += 1) {
      for (let place = 0; place < across; place += 1, at += 1) {
        let value = isMax ? -Infinity : 0;
        for (let ky = 0; ky < kernel; ky += 1) {
          const line = (channel * height + y * stride + ky) * width + place * stride;
          for (let kx = 0; kx < kernel; kx += 1) {
            value = isMax ? Math.max(value, x[line + kx]) : value + x[line + kx];
          }
        }
        out[at] = isMax ? value : value / (kernel * kernel);
      }
    }
  }
  return out;
}

function averageChannels({ input: [channels, height, width] }, x) {
  const plane = height * width;
  return Float64Array.from({ length: channels }, (_, channel) =>
    x.subarray(channel * plane, (channel + 1) * plane).reduce((sum, value) => sum + value, 0) / plane);
}

function foldBlocks({ row: { block }, input: [channels, height, width], output: [, down, across] }, x) {
  const out = new Float64Array(x.length);
  let at = 0;
  for (let channel = 0; channel < channels; channel += 1) {
    for (let dy = 0; dy < block; dy += 1) {
      for (let dx = 0; dx < block; dx += 1) {
        for (let y = 0; y < down; y += 1) {
          for (let place = 0; place < across; place += 1, at += 1) {
            out[at] = x[(channel * height + y * block + dy) * width + place * block + dx];
          }
        }
      }
    }
  }
  return out;
}

function multiply({ output: [count], weight, shift }, x) {
  return Float64Array.from({ length: count }, (_, index) => {
    const start = index * x.length;
    let sum = shift ? shift[index] : 0;
    for (let place = 0; place < x.length; place += 1) sum += weight[start + place] * x[place];
    return sum;
  });
}

// Read the description in the page: every layer gets its numbers as views of the weights.
function openNetwork({ layers, weights, mean, std }) {
  const bytes = Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0));
  const numbers = Float64Array.from(new Float32Array(bytes.buffer));
  const opened = layers.map((layer) => {
    const views = ["weight", "scale", "shift"].filter((name) => layer[name])
      .map((name) => [name, numbers.subarray(layer[name][0], layer[name][0] + layer[name][1])]);
    return { ...layer, ...Object.fromEntries(views) };
  });
  return { layers: opened, mean, std };
}

// Return the outputs of all rows, of which the last are the logits, and the probabilities of the ten digits.
function runNetwork({ layers, mean, std }, pixels) {
  const outputs = [];
  let x = Float64Array.from(pixels, (value) => (value / 255 - mean) / std);
  for (const layer of layers) {
    x = OPERATIONS[layer.row.kind](layer, x, outputs);
    const activation = ACTIVATIONS[layer.row.activation ?? "none"];
    if (activation) for (let index = 0; index < x.length; index += 1) x[index] = activation(x[index]);
    outputs.push(x);
  }
  const highest = Math.max(...x);
  const exponentials = Array.from(x, (logit) => Math.exp(logit - highest));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return { outputs, probabilities: exponentials.map((value) => value / total) };
}
