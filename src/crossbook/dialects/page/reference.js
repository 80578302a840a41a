"use strict";
// Sends the "Try it" forms to the venue that served this page. Token, key and secret stay in the page's memory.

const bearer = document.getElementById("token");
const signer = document.getElementById("signer");
let skewMs = null;

function inputsOf(form, place) {
  return [...form.querySelectorAll("input[data-in]")].filter((input) => input.dataset.in === place);
}

function addressOf(form) {
  let path = form.dataset.path;
  for (const input of inputsOf(form, "path")) {
    path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
  }
  const query = new URLSearchParams();
  for (const input of inputsOf(form, "query")) {
    if (input.value !== "") query.append(input.name, input.value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

function requestOf(form) {
  const headers = {};
  for (const input of inputsOf(form, "header")) {
    if (input.value !== "") headers[input.name] = input.value;
  }
  const token = bearer ? bearer.value.trim() : "";
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const area = form.querySelector("textarea");
  if (area) headers["Content-Type"] = "application/json";
  return { method: form.dataset.method, headers, body: area ? area.value : undefined };
}

// The venue's time, whatever this machine's clock says.
async function venueSeconds() {
  if (skewMs === null) {
    const reply = await fetch(location.pathname, { method: "HEAD" });
    skewMs = Date.parse(reply.headers.get("Date")) - Date.now() || 0;
  }
  return String(Math.floor((Date.now() + skewMs) / 1000));
}

async function signatureOf(secret, payload) {
  if (!crypto.subtle) throw new Error("this browser signs only for https, localhost and 127.0.0.1");
  const bytes = new TextEncoder();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes.encode(secret), hmac, false, ["sign"]);
  const digest = await crypto.subtle.sign("HMAC", key, bytes.encode(payload));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

// Adds the headers of a signed request; gives what was signed, or "" when nothing was to be.
async function sign(form, address, request) {
  const [key, secret] = signer ? [...signer.querySelectorAll("input")].map((input) => input.value.trim()) : ["", ""];
  if (!form.dataset.secured || !key || !secret) return "";
  const timestamp = await venueSeconds();
  const path = new URL(address, location.href).pathname;
  const payload = timestamp + request.method + path + (request.body || "");
  request.headers[signer.dataset.timestamp] = timestamp;
  request.headers[signer.dataset.token] = key;
  request.headers[signer.dataset.signature] = await signatureOf(secret, payload);
  return `signed: ${payload}\n`;
}

function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function send(form) {
  const output = form.querySelector("output");
  output.textContent = "…";
  try {
    const address = addressOf(form);
    const request = requestOf(form);
    const signed = await sign(form, address, request);
    const reply = await fetch(address, request);
    const text = readable(await reply.text());
    const id = reply.headers.get("X-Request-Id") || "";
    output.textContent = `${reply.status} ${reply.statusText}  ${id}\n${signed}${text}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

for (const form of document.querySelectorAll(".try form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
