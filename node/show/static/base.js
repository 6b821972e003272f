// What every page does where there is JavaScript: times in the browser's zone, buttons that copy.
const FORMS = {
  minute: { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", timeZoneName: "short" },
  second: {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    timeZoneName: "short",
  },
};

/** Times below `root` in the browser's zone, with the zone. */
export function localTimes(root) {
  for (const time of root.querySelectorAll("time[data-form]")) {
    const form = FORMS[time.dataset.form];
    if (form) time.textContent = new Intl.DateTimeFormat("sv-SE", { ...form, hour12: false }).format(new Date(time.dateTime));
  }
}

function copyButtons(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", () => navigator.clipboard.writeText(button.dataset.copy));
  }
}

// Without a choice of his own a visitor sees what his system prefers: the switch leads to the other.
const theme = document.querySelector("[data-theme-switch]");
if (theme) theme.value = getComputedStyle(document.documentElement).colorScheme === "light" ? "dark" : "light";

localTimes(document);
copyButtons(document);
