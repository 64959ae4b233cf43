// The text on the live page that stands out least from what is painted behind it: its contrast, as the Web Content
// Accessibility Guidelines count it, and what it says.
() => {
  const luminance = (colour) => {
    const [red, green, blue] = colour.match(/[0-9.]+/g).slice(0, 3).map((each) => each / 255)
      .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    const box = element.closest("g")?.querySelector(".box");
    if (box) return getComputedStyle(box).fill;
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    throw new Error("nothing is painted behind it");
  };
  const contrast = (element) => {
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const [more, less] = [luminance(colour), luminance(behind(element))].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  };
  const texts = document.querySelectorAll("svg text, th, td, caption, p, h1, footer");
  return [...texts].filter((each) => each.textContent).map((each) => [contrast(each), each.textContent])
    .sort((a, b) => a[0] - b[0])[0];
}
