"use strict";
// Sends the "Try it" forms to the venue that served this page. The token stays in the page's memory.

function addressOf(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input[data-in]")) {
    if (input.dataset.in === "path") {
      path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    } else if (input.value !== "") {
      query.append(input.name, input.value);
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

function requestOf(form) {
  const headers = {};
  const token = document.getElementById("token").value.trim();
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const area = form.querySelector("textarea");
  if (area) headers["Content-Type"] = "application/json";
  return { method: form.dataset.method, headers, body: area ? area.value : undefined };
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
    const reply = await fetch(addressOf(form), requestOf(form));
    const text = readable(await reply.text());
    const id = reply.headers.get("X-Request-Id") || "";
    output.textContent = `${reply.status} ${reply.statusText}  ${id}\n${text}`;
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
