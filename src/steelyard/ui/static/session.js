// The questions of this browser session, so that a reload loses nothing.

const KEY = "steelyard.turns";
const MOST = 30;

export function loadTurns() {
  try {
    const turns = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(turns) ? turns : [];
  } catch {
    return [];
  }
}

/** Keep the newest turns; when the browser's quota is full, fewer of them. */
export function saveTurns(turns) {
  for (let kept = turns.slice(-MOST); ; kept = kept.slice(Math.ceil(kept.length / 2))) {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(kept));
      return;
    } catch {
      if (kept.length === 0) return;
    }
  }
}
