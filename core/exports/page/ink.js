
// A drawing as the 28x28 picture that the network reads: `core.drawing.strokes` and `core.drawing.preparation` again, to
// within one grey level. Lines are therefore drawn here, with the arithmetic of OpenCV's anti-aliasing, and not by the
// browser's canvas, whose edges differ from one browser to the next.
// A drawing is a list of strokes; a stroke is a list of points [x, y], 0 to 1 from the pad's top left corner.
const SIDE = 28;
const ONE = 65536; // coordinates on the ink are whole numbers of 1/65536 pixel
const HALF = ONE / 2;

// Opacity of a line at each 32nd of a pixel from its middle, out of 256.
const FALLOFF = [254, 254, 252, 249, 246, 241, 236, 231, 224, 218, 210, 202, 194, 185, 177, 168, 158, 149, 140, 131, 122,
  114, 105, 97, 89, 82, 75, 68, 62, 56, 50, 45, 40, 36, 32, 28, 25, 22, 19, 16, 14, 12, 11, 9, 8, 7, 5, 5];
const opacityAt = (place) => FALLOFF[place < 16 ? 15 - place : place - 16]; // the middle is at 15.5
// Weight of a line by its slope in 32nds: a diagonal passes through fewer columns than its length has pixels.
const SLOPES = Array.from({ length: 32 }, (_, slope) => Math.floor(256 * Math.sqrt((1 + ((slope + 0.5) / 32) ** 2) / 2)));

// To the nearest whole number, halves to the even one, as Python and numpy do.
function roundEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

class Ink {
  constructor(size) {
    this.size = size;
    this.pixels = new Uint8Array(size * size);
  }

  // A thick line with round ends; its first end only where no line came before.
  drawLine(from, to, thickness, isFirst, disc) {
    const [dx, dy] = [(from[0] - to[0]) / ONE, (to[1] - from[1]) / ONE];
    const squared = dx * dx + dy * dy;
    if (squared > Number.EPSILON) {
      const half = (thickness * HALF + (thickness % 2) * HALF) / Math.sqrt(squared);
      const [x, y] = [roundEven(dy * half), roundEven(dx * half)];
      this.fillPolygon([[from[0] + x, from[1] + y], [from[0] - x, from[1] - y], [to[0] - x, to[1] - y], [to[0] + x, to[1] + y]]);
    }
    if (isFirst) this.drawDisc(from, disc);
    this.drawDisc(to, disc);
  }

  drawDisc([x, y], disc) {
    this.fillPolygon(disc.map(([dx, dy]) => [x + dx, y + dy]));
  }

  // A convex polygon: its edges as soft lines, then the pixels between them row by row.
  fillPolygon(points) {
    const count = points.length;
    points.forEach((point, index) => this.drawEdge(points[(index + count - 1) % count], point));
    const rows = points.map(([, y]) => (y + HALF) >> 16);
    const top = Math.min(...rows);
    const bottom = Math.min(Math.max(...rows), this.size - 1);
    const highest = points.reduce((best, [, y], index) => (y < points[best][1] ? index : best), 0);
    // From the highest corner down along both sides of the polygon.
    const sides = [1, count - 1].map((step) => ({ step, corner: highest, x: -ONE, slope: 0, until: top }));
    let remaining = count; // edges that no side has followed yet
    for (let y = top; y <= bottom; y += 1) {
      if (y < bottom || y === top) {
        for (const side of sides) {
          while (y >= side.until && remaining > 0) {
            remaining -= 1;
            const corner = side.corner;
            side.corner = (corner + side.step) % count;
            const height = rows[side.corner] - y;
            if (height <= 0) continue;
            side.x = points[corner][0];
            side.slope = Math.trunc((2 * (points[side.corner][0] - side.x) + height) / (2 * height));
            side.until = rows[side.corner];
          }
        }
      }
      const left = (Math.min(sides[0].x, sides[1].x) + ONE - 1) >> 16;
      const right = Math.max(sides[0].x, sides[1].x) >> 16;
      if (y >= 0 && right >= 0 && left < this.size) {
        const start = y * this.size;
        this.pixels.fill(255, start + Math.max(left, 0), start + Math.min(right, this.size - 1) + 1);
      }
      for (const side of sides) side.x += side.slope;
    }
  }

  // A soft line one pixel wide: three pixels across it in every column, or in every row where it is steep.
  drawEdge(from, to) {
    const clipped = this.clip(from, to);
    if (!clipped) return;
    const [x0, y0, x1, y1] = clipped;
    const isFlat = Math.abs(x1 - x0) > Math.abs(y1 - y0);
    let [start, across, end, acrossEnd] = isFlat ? [x0, y0, x1, y1] : [y0, x0, y1, x1];
    if (end < start) [start, across, end, acrossEnd] = [end, acrossEnd, start, across];
    const slope = Math.trunc(((acrossEnd - across) * ONE) / ((end - start) | 1));
    end += ONE;
    across += Math.floor((slope * -(start & (ONE - 1))) / ONE) + HALF;
    const steepness = slope < 0 ? ~(slope >> 11) : slope >> 11;
    const weight = steepness & 32 ? 256 : SLOPES[steepness & 31];
    const [head, tail] = [(start >> 9) & 120, (end >> 9) & 120]; // parts of a pixel at both ends, in 1/128
    const [along, aside] = isFlat ? [1, this.size] : [this.size, 1];
    const last = (end >> 16) - (start >> 16);
    for (let step = 0; step <= last; step += 1, across += slope) {
      const position = (start >> 16) + step;
      if (position < 0 || position >= this.size) continue;
      const strength = (weight * coverage(step, last - step, head, tail)) >> 8;
      const [middle, fraction] = [across >> 16, (across >> 11) & 31];
      this.blend(position * along, aside, middle - 1, (strength * opacityAt(fraction + 32)) >> 8);
      this.blend(position * along, aside, middle, (strength * opacityAt(fraction)) >> 8);
      this.blend(position * along, aside, middle + 1, (strength * opacityAt(63 - fraction)) >> 8);
    }
  }

  // Move a pixel towards full ink, twice.
  blend(start, stride, row, opacity) {
    if (row < 0 || row >= this.size) return;
    const place = start + row * stride;
    const value = this.pixels[place];
    const once = value + (((255 - value) * opacity + 127) >> 8);
    this.pixels[place] = once + (((255 - once) * opacity + 127) >> 8);
  }

  // The part of a line that lies on the ink, or null.
  clip([x0, y0], [x1, y1]) {
    const last = this.size * ONE - 1;
    const beyond = (value) => (value < 0 ? -1 : value > last ? 1 : 0);
    const edge = (value) => (value < 0 ? 0 : last);
    if ((beyond(x0) && beyond(x0) === beyond(x1)) || (beyond(y0) && beyond(y0) === beyond(y1))) return null;
    if (beyond(y0)) {
      x0 += Math.trunc(((edge(y0) - y0) * (x1 - x0)) / (y1 - y0));
      y0 = edge(y0);
    }
    if (beyond(y1)) {
      x1 += Math.trunc(((edge(y1) - y1) * (x1 - x0)) / (y1 - y0));
      y1 = edge(y1);
    }
    if (beyond(x0) && beyond(x0) === beyond(x1)) return null;
    if (beyond(x0)) {
      y0 += Math.trunc(((edge(x0) - x0) * (y1 - y0)) / (x1 - x0));
      x0 = edge(x0);
    }
    if (beyond(x1)) {
      y1 += Math.trunc(((edge(x1) - x1) * (y1 - y0)) / (x1 - x0));
      x1 = edge(x1);
    }
    return [x0, y0, x1, y1];
  }
}

// How much of a line's column is covered, out of 256: less in the two columns at each end.
function coverage(fromStart, fromEnd, head, tail) {
  const [near, far] = [fromStart < 2, fromEnd < 2];
  if (near && far) {
    if (fromStart + fromEnd === 2) return (tail - head + 128) | 4;
    return fromStart + fromEnd ? ((tail - head) & 120) | 4 : 0;
  }
  if (near) return ((120 - head) | 4) + 128 * fromStart;
  if (far) return (tail | 4) + 128 * fromEnd;
  return 256;
}

// A disc as a polygon around [0, 0].
function discOf(radius) {
  const pixels = Math.floor((radius + HALF) / ONE);
  const step = pixels < 3 ? 90 : pixels < 10 ? 30 : pixels < 15 ? 18 : 5; // degrees
  const sine = (degrees) => Math.fround(Number(Math.sin((degrees * Math.PI) / 180).toFixed(7)));
  const angles = Array.from({ length: 360 / step + 1 }, (_, index) => index * step);
  return angles.map((angle) => [roundEven(radius * sine(450 - angle)), roundEven(radius * sine(angle))]);
}

// The longer side of a drawing, at least `extent`, as a fraction of the pad's side.
function spanOf(strokes, extent) {
  const points = strokes.flat();
  return [0, 1].reduce((longest, axis) => {
    const [least, most] = points.reduce(([low, high], point) => [Math.min(low, point[axis]), Math.max(high, point[axis])],
      [Infinity, -Infinity]);
    return Math.max(longest, most - least);
  }, extent);
}

// Strokes as ink, with a line as wide as suits the digit's size.
function drawInk(strokes, { size, width, extent, bits }) {
  const ink = new Ink(size);
  const thickness = Math.max(1, roundEven(width * spanOf(strokes, extent) * size));
  const unit = 2 ** bits;
  const disc = discOf(thickness * HALF);
  for (const stroke of strokes) {
    const line = stroke.map((point) => point.map((value) => roundEven(value * size * unit) * (ONE / unit)));
    if (line.length === 1) ink.drawDisc(line[0], disc);
    for (let index = 1; index < line.length; index += 1) {
      ink.drawLine(line[index - 1], line[index], thickness, index === 1, disc);
    }
  }
  return ink;
}

// What makes up each new pixel along one axis: the first old pixel and the shares of it and of those after it. Areas
// where the axis shrinks, else straight between two neighbours.
function sharesOf(from, to, isArea) {
  const scale = from / to;
  return Array.from({ length: to }, (_, index) => {
    if (!isArea) {
      const at = Math.min(Math.max((index + 0.5) * scale - 0.5, 0), from - 1);
      const first = Math.floor(at);
      return { first, shares: at > first ? [1 - (at - first), at - first] : [1] };
    }
    const [start, end] = [index * scale, Math.min((index + 1) * scale, from)];
    const first = Math.floor(start);
    const shares = [];
    for (let pixel = first; pixel < end; pixel += 1) {
      shares.push((Math.min(end, pixel + 1) - Math.max(start, pixel)) / (end - start));
    }
    return { first, shares };
  });
}

function resize(values, [height, width], [newHeight, newWidth], isArea) {
  const narrow = new Float64Array(height * newWidth);
  sharesOf(width, newWidth, isArea).forEach(({ first, shares }, x) => {
    for (let y = 0; y < height; y += 1) {
      let sum = 0;
      for (let index = 0; index < shares.length; index += 1) sum += shares[index] * values[y * width + first + index];
      narrow[y * newWidth + x] = sum;
    }
  });
  const resized = new Float64Array(newHeight * newWidth);
  sharesOf(height, newHeight, isArea).forEach(({ first, shares }, y) => {
    for (let x = 0; x < newWidth; x += 1) {
      let sum = 0;
      for (let index = 0; index < shares.length; index += 1) sum += shares[index] * narrow[(first + index) * newWidth + x];
      resized[y * newWidth + x] = sum;
    }
  });
  return resized;
}

// Where a profile of ink starts so that its centre of mass is in the middle.
function centringOffset(profile) {
  const total = profile.reduce((sum, value) => sum + value, 0);
  const centre = profile.reduce((sum, value, index) => sum + value * index, 0) / total;
  return Math.min(Math.max(roundEven(SIDE / 2 - centre), 0), SIDE - profile.length);
}

// Crop to the ink, scale its longer side to `box` pixels, centre it by its mass: 784 grey values, 0 to 255.
function toMnist({ size, pixels }, { box, visible }) {
  const picture = new Uint8Array(SIDE * SIDE);
  let darkest = 0;
  for (const value of pixels) if (value > darkest) darkest = value;
  if (!darkest) return picture;
  let [top, bottom, left, right] = [size, -1, size, -1];
  for (let row = 0, place = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1, place += 1) {
      if (pixels[place] / darkest <= visible) continue;
      if (row < top) top = row;
      if (column < left) left = column;
      if (column > right) right = column;
      bottom = row;
    }
  }
  const shape = [bottom - top + 1, right - left + 1];
  const cropped = new Float64Array(shape[0] * shape[1]);
  for (let row = 0; row < shape[0]; row += 1) {
    const start = (top + row) * size + left;
    cropped.set(pixels.subarray(start, start + shape[1]), row * shape[1]);
  }
  const scale = box / Math.max(...shape);
  const [height, width] = shape.map((side) => Math.max(1, roundEven(side * scale)));
  const small = resize(cropped, shape, [height, width], scale < 1);
  const most = small.reduce((best, value) => Math.max(best, value), 0);
  const sums = (count, part) => Array.from({ length: count }, (_, index) => part(index).reduce((sum, value) => sum + value, 0));
  const row = centringOffset(sums(height, (y) => small.subarray(y * width, (y + 1) * width)));
  const column = centringOffset(sums(width, (x) => small.filter((_, place) => place % width === x)));
  small.forEach((value, place) => {
    picture[(row + Math.floor(place / width)) * SIDE + column + (place % width)] = roundEven((value / most) * 255);
  });
  return picture;
}

// Strokes to the picture; all zeros without strokes.
function prepare(strokes, settings) {
  const drawn = strokes.filter((stroke) => stroke.length)
    .map((stroke) => stroke.map((point) => point.map((value) => Math.min(1, Math.max(0, value)))));
  return drawn.length ? toMnist(drawInk(drawn, settings), settings) : new Uint8Array(SIDE * SIDE);
}
