// The page around noVNC: password, reconnecting, clipboard, full screen. The connection goes to where the page
// came from and nowhere else, whatever the address says behind a "?"; the password is held by this page only, never in
// the address or in storage. Behind a login the server tells it, and a person is asked once.
import RFB from "./novnc/core/rfb.js";

const $ = (id) => document.getElementById(id);
const SHORTEST_PAUSE = 500;
const LONGEST_PAUSE = 8000;

let rfb = null;
let password = null;
let behindLogin = false;
let refused = false;
let pause = SHORTEST_PAUSE;

function address() {
  const url = new URL("websockify", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = url.hash = "";
  return url.href;
}

// Asks anew before each connection: a session may have ended, a password may be another one.
async function start() {
  try {
    const answer = await fetch("session", { cache: "no-store" });
    if (answer.status === 401) {
      location.replace("login");
      return;
    }
    const told = await answer.json();
    behindLogin = told.login;
    if (behindLogin) password = told.password;
    $("logout").hidden = !behindLogin;
  } catch {
    tryAgain(); // the server is away
    return;
  }
  connect();
}

function tryAgain() {
  $("status").textContent = "The connection is lost. Trying again …";
  setTimeout(start, pause);
  pause = Math.min(pause * 2, LONGEST_PAUSE);
}

function connect() {
  refused = false;
  rfb = new RFB($("screen"), address(), { shared: true });
  rfb.scaleViewport = true; // for servers that cannot resize (TightVNC)
  rfb.resizeSession = true;
  rfb.compressionLevel = 1; // with more, TightVNC sends coloured text as JPEG and leaves it so: docs/performance.md
  rfb.background = "#18263f";
  rfb.addEventListener("connect", connected);
  rfb.addEventListener("disconnect", disconnected);
  rfb.addEventListener("credentialsrequired", credentialsRequired);
  rfb.addEventListener("securityfailure", securityFailure);
  rfb.addEventListener("clipboard", (event) => copiedThere(event.detail.text));
  rfb.addEventListener("desktopname", (event) => { document.title = event.detail.name; });
}

function connected() {
  pause = SHORTEST_PAUSE;
  $("login").hidden = true;
  $("tools").hidden = false;
  $("status").textContent = "";
  rfb.focus();
}

function disconnected() {
  rfb = null;
  $("tools").hidden = true;
  $("clipboard").hidden = true;
  if (refused || !$("login").hidden) return;
  tryAgain();
}

function credentialsRequired() {
  if (password === null) askForPassword("");
  else rfb.sendCredentials({ password });
}

function securityFailure(event) {
  if (behindLogin) return; // the end of the connection follows, and the next one gets the password of then
  refused = true;
  password = null;
  askForPassword(event.detail.reason ? `Refused: ${event.detail.reason}.` : "The password is wrong.");
}

function askForPassword(message) {
  $("status").textContent = "";
  $("login-message").textContent = message;
  $("login").hidden = false;
  $("password").value = "";
  $("password").focus();
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  password = $("password").value;
  $("login").hidden = true;
  $("status").textContent = "Connecting …";
  if (rfb !== null && !refused) rfb.sendCredentials({ password });
  else connect();
});

// The browser's own clipboard is there on https and localhost, and only while the page has the focus.
async function copiedThere(text) {
  $("clipboard-text").value = text;
  try {
    await navigator.clipboard?.writeText(text);
  } catch { /* not allowed: the text is in the clipboard panel */ }
}

async function copiedHere() {
  try {
    const text = await navigator.clipboard?.readText();
    if (text && text !== $("clipboard-text").value) sendClipboard(text);
  } catch { /* not allowed: the clipboard panel is the way */ }
}

function sendClipboard(text) {
  $("clipboard-text").value = text;
  rfb?.clipboardPasteFrom(text);
}

window.addEventListener("focus", copiedHere);
$("clipboard-text").addEventListener("input", () => sendClipboard($("clipboard-text").value));
$("clipboard-button").addEventListener("click", () => {
  $("clipboard").hidden = !$("clipboard").hidden;
  $("clipboard-button").setAttribute("aria-expanded", String(!$("clipboard").hidden));
  if ($("clipboard").hidden) rfb?.focus();
  else $("clipboard-text").focus();
});
$("keys-button").addEventListener("click", () => { rfb?.sendCtrlAltDel(); rfb?.focus(); });
$("full-button").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
  rfb?.focus();
});

start();
