// What is wrong with the layout of the live page, in words: boxes that meet, texts that meet or leave their box, lines
// through boxes that they do not join, cells too narrow for what they say, a page wider than its window.
() => {
  const faults = new Set();
  const rect = (element) => element.getBoundingClientRect();
  const name = (element) => element.closest("g").querySelector("title").textContent;
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const within = (a, b) =>
    a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
  const pairs = (list) => list.flatMap((a, i) => list.slice(0, i).map((b) => [a, b]));

  const boxes = [...document.querySelectorAll("svg .box")];
  for (const [a, b] of pairs(boxes)) if (meet(rect(a), rect(b))) faults.add(`${name(a)} on ${name(b)}`);
  for (const box of boxes) {
    if (!within(rect(box), rect(box.ownerSVGElement))) faults.add(`${name(box)} is cut`);
    const texts = [...box.parentNode.querySelectorAll("text")].filter((text) => text.textContent);
    for (const text of texts)
      if (!within(rect(text), rect(box))) faults.add(`${text.textContent} leaves ${name(box)}`);
    for (const [a, b] of pairs(texts))
      if (meet(rect(a), rect(b))) faults.add(`${a.textContent} on ${b.textContent} in ${name(box)}`);
  }
  for (const line of document.querySelectorAll("svg .path"))
    for (let at = 0; at <= line.getTotalLength(); at += 2) {
      const { x, y } = line.getPointAtLength(at).matrixTransform(line.getScreenCTM());
      const point = { left: x - 1, right: x + 1, top: y - 1, bottom: y + 1 };
      for (const box of boxes) {
        const { left, right, top, bottom } = rect(box);
        const inner = { left: left + 2, right: right - 2, top: top + 3, bottom: bottom - 3 };
        if (meet(point, inner)) faults.add(`${name(line)} through ${name(box)}`);
      }
    }
  for (const cell of document.querySelectorAll("th, td, p, h1"))
    if (cell.scrollWidth > cell.clientWidth + 1) faults.add(`${cell.textContent} is wider than its place`);
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) faults.add(`the page is ${width} px wide, its window ${innerWidth}`);
  return [...faults];
}
