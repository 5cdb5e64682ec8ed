// The page: the list and the plots from the index, one question at a time from the blocks.

const detail = document.getElementById("detail");

async function start() {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the data; use one of 2023 or newer");
  const index = await readBlock("index");
  const list = new QuestionList(index, (place) => open(place));
  performance.mark("list");
  mountScatter(index);
  detail.append(el("p", { class: "soft" }, index.ids.length ? "Choose a question, or press j." : "The set has no question."));

  async function open(place) {
    const address = `#q=${encodeURIComponent(index.ids[place])}`;
    if (location.hash !== address) history.replaceState(null, "", address);
    await drawDetail(detail, index, place, list).catch(fail);
    if (matchMedia("(max-width: 900px)").matches) detail.scrollIntoView({ block: "start" });
  }

  function follow() {
    const id = new URLSearchParams(location.hash.slice(1)).get("q");
    if (id === null) return;
    if (list.find(id)) document.getElementById("questions").scrollIntoView();
    else detail.replaceChildren(el("p", { class: "fault" }, `This report has no question ${id}.`));
  }

  addEventListener("hashchange", follow);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const inList = document.activeElement === list.node;
    if (event.key === "j" || (inList && event.key === "ArrowDown")) list.step(1);
    else if (event.key === "k" || (inList && event.key === "ArrowUp")) list.step(-1);
    else if (inList && event.key === "Enter") detail.focus();
    else return;
    event.preventDefault();
  });
  follow();
}

function fail(error) {
  const message = el("p", { class: "fault" }, `The questions cannot be shown: ${error.message}`);
  detail.replaceChildren(message);
  document.getElementById("count").textContent = "";
}

start().catch(fail);
