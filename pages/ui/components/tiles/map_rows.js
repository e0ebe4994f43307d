// Rows of maps of signed values, as sharp pixels. A row's maps are on one sprite sheet, and each tile shows its part of
// it. A digit may be drawn below the maps, and a square may be outlined.

// The CSS position, in percent, that shows a part of `size` beginning at `start` of a sheet of length `total`.
function position(start, total, size) {
  return total === size ? 0 : (100 * start) / (total - size);
}

function buildTile({ alt, label, note }, [left, top], row) {
  const { sheet, width, height, across, down, ink, box } = row;
  const cell = element("div", "cell");
  cell.setAttribute("role", "img");
  cell.setAttribute("aria-label", alt);
  cell.title = alt;
  const tile = element("span", "tile");
  tile.style.aspectRatio = `${across} / ${down}`;
  if (ink) {
    const digit = element("span", "ink");
    digit.style.maskImage = `url(${ink})`;
    tile.append(digit);
  }
  const values = element("span", "values");
  values.style.backgroundImage = `url(${sheet})`;
  values.style.backgroundSize = `${(100 * width) / across}% ${(100 * height) / down}%`;
  values.style.backgroundPosition = `${position(left, width, across)}% ${position(top, height, down)}%`;
  tile.append(values);
  if (box) {
    const outline = element("span", "box");
    [outline.style.left, outline.style.top, outline.style.width, outline.style.height] =
      box.map((length) => `${length}%`);
    tile.append(outline);
  }
  cell.append(tile);
  if (label) {
    const words = element("span", "words");
    words.append(element("span", "label", label));
    if (note) words.append(element("span", "note", note));
    cell.append(words);
  }
  return cell;
}

function buildRow(row) {
  const section = element("section", row.cells.length ? "row" : "row wide");
  section.setAttribute("aria-label", row.title || row.alt);
  if (row.title) {
    const heading = element("div", "heading");
    heading.append(element("span", "title", row.title), element("span", "quiet", row.note));
    section.append(heading);
  }
  if (!row.cells.length) return section;
  const grid = element("div", "grid");
  grid.style.setProperty("--tile", `${row.tile}rem`);
  grid.style.setProperty("--abreast", Math.min(row.cells.length, row.cells[0].note ? 10 : 8));
  grid.append(...row.cells.map((cell, index) => buildTile(cell, row.places[index], row)));
  section.append(grid);
  return section;
}
