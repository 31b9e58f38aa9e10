// Who points at a mark, taps it or goes to it by key is told of it in one way, and led to its run.
const page = JSON.parse(document.getElementById("document").textContent);

(() => {
  "use strict";
  const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
  const spoken = element("p", { class: "spoken", role: "status" });
  let [touches, told] = [false, null];
  page.views = {};
  Object.assign(page, { element, say, tells });
  document.querySelector("main").append(spoken);

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // As a chart tells a pointer of a mark; nothing where there are no words
  function say(event, words) {
    Object.values(page.views)[0]?.tooltip()(null, event, null, words);
  }

  function hush() {
    told?.classList.remove("told");
    told = null;
    say(null, null);
  }

  function tell(mark, { clientX, clientY }) {
    told?.classList.remove("told");
    told = mark;
    told.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
  }

  // A finger does not hover: its first tap on a mark shows what a pointer is told, the next leads
  // on; and where it touches anything else, that is gone
  document.addEventListener("pointerdown", ({ pointerType, target }) => {
    touches = pointerType === "touch";
    if (touches && target !== told) hush();
  }, true);

  function tapped(event) {
    if (!touches || event.target === told) return;
    event.stopPropagation();
    tell(event.target, event);
  }

  // By key there is no pointer: the mark is in sight and outlined, and what it tells is spoken too
  function walked(event, marks) {
    if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own: back, say
    const step = STEPS[event.key];
    if (event.key === "Escape") hush();
    if (event.key === "Enter") told?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    if (!step || !marks.length) return;
    event.preventDefault();
    const at = marks.indexOf(told);
    const mark = marks.at(at < 0 ? Math.min(step, 0) : (at + step) % marks.length);
    mark.scrollIntoView({ block: "nearest", inline: "nearest" });
    const { x, y, width, height } = mark.getBoundingClientRect();
    tell(mark, { clientX: x + width / 2, clientY: y + height / 2 });
    mark.classList.add("told");
    spoken.textContent = [...document.querySelectorAll("#vg-tooltip-element.visible tr")]
      .map(({ cells }) => [...cells].map((cell) => cell.textContent).join(" ")).join("; ");
  }

  // A place whose marks, as `selector` finds them, tell something
  function tells(place, selector) {
    for (const [key, value] of Object.entries({
      tabindex: 0, role: "group", "aria-label": "Marks, one by one by the keys left and right",
    })) place.setAttribute(key, value);
    place.addEventListener("click", tapped, true);
    place.addEventListener("keydown", (event) =>
      walked(event, [...place.querySelectorAll(selector)]));
    place.addEventListener("blur", hush);
  }
})();
