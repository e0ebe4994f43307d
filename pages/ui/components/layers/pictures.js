// The digit with the receptive field of the chosen cell, the map that it is in, and the outlines on all maps.
const MAP = ".picture[tabindex]"; // in the panel: the map, which has the keyboard's focus

function placeBox(box, [left, top, width, height], [, tall, wide]) {
  const x = Math.max(0, left);
  const y = Math.max(0, top);
  const sides = [x, y, Math.min(wide, left + width) - x, Math.min(tall, top + height) - y];
  const isOutside = sides[2] <= 0 || sides[3] <= 0;
  box.style.display = isOutside ? "none" : "";
  [box.style.left, box.style.top, box.style.width, box.style.height] = sides.map(
    (length, index) => `${(100 * length) / (index % 2 ? tall : wide)}%`);
}

function addBox(tile, className, sides, shape) {
  const box = element("span", `outline ${className}`);
  placeBox(box, sides, shape);
  tile.append(box);
}

// The cell of a map below the pointer, as [y, x].
function cellBelow(event, picture, [, height, width]) {
  const box = picture.getBoundingClientRect();
  const at = (position, start, size, cells) =>
    Math.max(0, Math.min(cells - 1, Math.floor((cells * (position - start)) / size)));
  return [at(event.clientY, box.top, box.height, height), at(event.clientX, box.left, box.width, width)];
}

function fieldOf(view, [row, , y, x]) {
  const { start, jump, side } = view.data.rows[row].field;
  return [start + x * jump, start + y * jump, side, side];
}

// A picture in which a finger or the mouse, held down, moves the chosen cell.
function buildPicture(view, row, channel, caption) {
  const { shape } = view.data.rows[row];
  const figure = element("div", "part");
  const picture = element("div", "picture");
  picture.style.aspectRatio = `${shape[2]} / ${shape[1]}`;
  const choose = (event) => {
    const [y, x] = cellBelow(event, picture, shape);
    view.choose([row, channel, y, x], picture.tabIndex === 0 ? MAP : null);
  };
  picture.onpointerdown = choose;
  picture.onpointermove = (event) => event.buttons === 1 && choose(event);
  figure.append(element("span", "caption", caption), picture);
  return [figure, picture];
}

function buildPictures(view) {
  const [row, channel, y, x] = view.cell;
  const { rows, digit } = view.data;
  const pictures = element("div", "pictures");
  const [figure, picture] = buildPicture(view, 0, 0, row === 0 ? "the pixel" : "what the cell sees");
  const ink = element("span", "ink");
  ink.style.maskImage = `url(${digit})`;
  picture.append(ink);
  addBox(picture, row === 0 ? "chosen" : "field", fieldOf(view, view.cell), rows[0].shape);
  picture.setAttribute("role", "img");
  const [left, top, side] = fieldOf(view, view.cell);
  picture.ariaLabel = row === 0 ? `The digit, with the pixel in line ${y + 1}, column ${x + 1}`
    : `The digit, with the square of ${side} by ${side} pixels that the cell sees, from line ${top + 1}, column ${left + 1}`;
  pictures.append(figure);
  const values = view.tiles.get(`${row} ${channel}`)?.querySelector(".values");
  const { shape } = rows[row];
  if (values && shape[1] * shape[2] > 1) {
    const [mapFigure, map] = buildPicture(view, row, channel, "its map");
    map.append(values.cloneNode());
    addBox(map, "chosen", [x, y, 1, 1], shape);
    map.setAttribute("role", "img");
    map.ariaLabel = `${nameOf(view, view.cell)}; arrow keys move the cell`;
    map.tabIndex = 0;
    map.onkeydown = (event) => view.move(event, MAP);
    pictures.append(mapFigure);
  }
  return pictures;
}

// Outline the chosen cell on its map, and what it is computed from on the maps before.
function outlineCells(view, explanation) {
  for (const outline of view.maps.querySelectorAll(".outline")) outline.remove();
  const [row, channel, y, x] = view.cell;
  const own = view.tiles.get(`${row} ${channel}`);
  if (own) addBox(own, "chosen", [x, y, 1, 1], view.data.rows[row].shape);
  for (const patch of explanation?.patches ?? []) {
    const tile = view.tiles.get(`${patch.row} ${patch.channel}`);
    if (tile) addBox(tile, "source", [patch.left, patch.top, patch.width, patch.height], view.data.rows[patch.row].shape);
  }
}
