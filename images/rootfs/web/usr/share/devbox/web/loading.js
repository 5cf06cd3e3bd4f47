// Loads the page again where one of its parts did not come: Chromium gives up what it loads while a network of the
// person's machine comes or goes, as those of containers do, and "Connecting …" would then stay for ever.
const PAUSE = 1000;

addEventListener("error", (event) => {
  if (event.target === window) return; // a mistake in a script, of which another copy knows no better
  const status = document.getElementById("status");
  if (status !== null) status.textContent = "A part of this page did not come. Loading it again …";
  setTimeout(() => location.reload(), PAUSE);
}, true); // it does not bubble
