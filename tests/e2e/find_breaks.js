// Says where the layout of a page is broken, one sentence for each place; looked at by tests.
() => {
  const found = [];
  const root = document.scrollingElement;
  const width = root.clientWidth;
  if (root.scrollWidth > width) found.push(`is ${root.scrollWidth} px wide, and has ${width}`);

  const name = (element) => {
    const text = (element.innerText || element.getAttribute("aria-label") || element.name || "").trim();
    return `<${element.tagName.toLowerCase()}> ${text.slice(0, 40)}`;
  };
  // What scrolls in a box of its own may be wider than the page.
  const scrolls = (element) => {
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(box).overflowX)) return true;
    }
    return false;
  };
  const isSeen = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true }) &&
    element.getClientRects().length > 0 &&
    !element.closest("[inert]");
  // A link for keyboards that is shown when it has the focus, and what only screen readers read.
  const isAside = (box) => box.width <= 1 || box.height <= 1 || box.right <= 0 || box.bottom <= 0;

  // What is open over the page has all of the attention.
  const scope = document.querySelector("dialog:modal, :popover-open") ?? document;
  const controls = [...scope.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
    .filter(isSeen)
    .map((element) => ({ element, boxes: [...element.getClientRects()].filter((box) => !isAside(box)) }))
    .filter(({ boxes }) => boxes.length > 0);

  for (const { element, boxes } of controls) {
    if (scrolls(element)) continue;
    if (boxes.some((box) => box.left < -0.5 || box.right > width + 0.5)) found.push(`${name(element)} is cut off`);
    const style = getComputedStyle(element);
    const isText = /^(A|BUTTON|SUMMARY)$/.test(element.tagName) && style.display !== "inline";
    if (isText && style.overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1) {
      found.push(`${name(element)} does not show all of its text`);
    }
  }
  const meet = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
  controls.forEach((one, k) => {
    for (const other of controls.slice(k + 1)) {
      if (one.element.contains(other.element) || other.element.contains(one.element)) continue;
      if (getComputedStyle(one.element).position === "sticky" || one.element.closest(".sticky")) continue;
      if (one.boxes.some((a) => other.boxes.some((b) => meet(a, b)))) {
        found.push(`${name(one.element)} lies over ${name(other.element)}`);
      }
    }
  });
  return found;
}
