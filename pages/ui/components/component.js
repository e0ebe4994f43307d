// Functions that several components share; `register_component` puts this file before each script.

// Make an element with a class and, if given, a text. Text never goes through innerHTML.
function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Return the view of a component in `parentElement`; the first call makes it with `build`. A page that is
// mounted again may still hold the old view, which is removed.
function viewOf(views, parentElement, className, build = () => element("div", className)) {
  let view = views.get(parentElement);
  if (!view) {
    parentElement.querySelector(`.${className}`)?.remove();
    view = build();
    parentElement.append(view);
    views.set(parentElement, view);
  }
  return view;
}
