// What a cell is called, and how its value arises, in sentences.

function placeOf(view, [row, , y, x]) {
  const [, height, width] = view.data.rows[row].shape;
  return height * width === 1 ? "" : `, line ${y + 1}, column ${x + 1}`;
}

function isScore(view, [row]) {
  return row === view.data.rows.length - 1;
}

function nameOf(view, cell) {
  const [row, channel] = cell;
  if (row === 0) return `Pixel${placeOf(view, cell)}`;
  if (isScore(view, cell)) return `Score of ${channel}`;
  return `${row} · ${view.data.rows[row].name}, channel ${channel + 1}${placeOf(view, cell)}`;
}

// A name for the steps that led to a cell: the row's number says enough.
function shortNameOf(view, cell) {
  return cell[0] === 0 ? "pixel" : isScore(view, cell) ? `Score of ${cell[1]}` : String(cell[0]);
}

// What the values of a patch are called.
function sourceOf(view, { row, channel }) {
  if (row === 0) return "pixels";
  return view.data.rows[row].shape[0] === 1 ? `row ${row}` : `row ${row}, channel ${channel + 1}`;
}

function sizeOf({ patches, others }) {
  const size = patches.length ? patches[0].values.length : 0;
  const inputs = patches.length + others.count;
  return { size, inputs, all: size * inputs };
}

function explainWeightedInWords(view, explanation) {
  const { size, inputs, all } = sizeOf(explanation);
  const word = explanation.patches[0].row === 0 ? "pixel" : "value";
  const product = `${count(all, word)} × ${count(all, "weight")} = ${count(all, "product")}`;
  const { bias, norm, activation, total, value } = explanation;
  const more = bias === null && !norm && activation === "none" ? "" : ` The steps below make it ${long(value)}.`;
  const sum = `Their sum is ${long(total)}.${more}`;
  if (inputs === 1) return `${product}. ${sum}`;
  const parts = size === 1 ? `One value from each of ${inputs} channels` : `${size} values from each of ${inputs} channels`;
  return `${parts}: ${product}. ${sum}`;
}

function explainInWords(view, explanation) {
  const { size } = sizeOf(explanation);
  const total = long(explanation.total);
  switch (explanation.kind) {
    case "image":
      return `Its ink is ${explanation.total} of 255. The network reads every pixel on one scale, from −0.42 for `
        + "blank paper to 2.82 for full ink.";
    case "conv":
    case "linear":
      return explainWeightedInWords(view, explanation);
    case "maxpool":
      return `Of ${count(size, "value")} the largest wins: ${total}.`;
    case "avgpool":
    case "global_avgpool":
      return `The mean of ${count(size, "value")}: their sum is ${total}, and ${total} ÷ ${size} is the mean.`;
    case "dropout":
      return "Dropout sets random values to 0 only while the network is trained. Here the value passes unchanged.";
    case "space_to_depth":
      return `Nothing is computed: of these ${size} values one moves here, the others to other channels.`;
    default:
      return "The values of two rows at the same place are added.";
  }
}

const ACTIVATION_WORDS = {
  relu: (value) => `ReLU: ${value < 0 ? "below 0, so it becomes 0" : "not below 0, so it stays"}`,
  silu: () => "SiLU: value ÷ (1 + e to the power of −value)",
  gelu: () => "GELU: times the share of a normal distribution below it",
};

// The steps after the patches: [words, operation, result].
function listSteps(explanation) {
  const { kind, total, count: divisor, bias, norm, activation } = explanation;
  if (kind === "image") {
    const share = total / 255;
    return [["Ink of the pixel, 0 to 255", "", String(total)], ["As a share", "÷ 255", long(share)],
      ["Mean of all training pixels", "− 0.1307", long(share - 0.1307)],
      ["Their standard deviation", "÷ 0.3081", long((share - 0.1307) / 0.3081)]];
  }
  const { all } = sizeOf(explanation);
  const { mean, biased, normed, activated } = resultsOf(explanation);
  const isWeighted = kind === "conv" || kind === "linear";
  const signed = (number) => `${number < 0 ? "−" : "+"} ${long(Math.abs(number))}`;
  const steps = [[isWeighted ? `Sum of ${count(all, "product")}` : `Sum of ${count(all, "value")}`, "", long(total)]];
  if (divisor > 1) steps.push(["Mean", `÷ ${divisor}`, long(mean)]);
  if (bias !== null) steps.push(["Bias of the channel", signed(bias), long(biased)]);
  if (norm) {
    const deviation = Math.sqrt(norm.variance + norm.epsilon);
    const centred = biased - norm.mean;
    steps.push([`Mean in training: ${long(norm.mean)}`, signed(-norm.mean), long(centred)],
      [`Deviation: √ of the variance ${long(norm.variance)}`, `÷ ${long(deviation)}`, long(centred / deviation)],
      ["Scale", `× ${long(norm.scale)}`, long((centred / deviation) * norm.scale)],
      ["Shift", signed(norm.shift), long(normed)]);
  }
  if (activation !== "none") steps.push([ACTIVATION_WORDS[activation](normed), "", long(activated)]);
  return steps;
}

function foldedInWords({ norm }) {
  const sign = norm.offset < 0 ? "−" : "+";
  return `Mean, deviation, scale and shift are batch norm. All four in one: ×\u00a0${long(norm.factor)}, then `
    + `${sign}\u00a0${long(Math.abs(norm.offset))}.`;
}
