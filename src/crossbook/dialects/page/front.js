"use strict";
// Shows the venue that served this page: its markets by HTTP, one market's book and trades by the WebSocket.

const DEPTH = 12;
const TRADES_SHOWN = 20;
const PRICES_EVERY_MS = 2000;
const RETRY_MS = 1000;

const state = { market: "", socket: null, bids: new Map(), asks: new Map(), sequence: null, trades: [], drawn: true };
const at = (id) => document.getElementById(id);

function row(cells, kind) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const column = document.createElement("td");
    if (cell instanceof Node) column.append(cell);
    else column.textContent = cell ?? "–";
    if (kind) column.className = kind;
    line.append(column);
  }
  return line;
}

function say(text, live) {
  at("status").textContent = text;
  at("status").dataset.state = live ? "live" : "waiting";
}

// -- Markets ---------------------------------------------------------------------------------------
async function fetched(path) {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return reply.json();
}

async function showMarkets() {
  try {
    const [markets, prices] = await Promise.all([fetched("/markets"), fetched("/prices")]);
    const priceOf = new Map(prices.map((price) => [price.marketId, price]));
    at("markets").replaceChildren(...markets.map((market) => marketRow(market, priceOf.get(market.id) ?? {})));
    if (!state.market && markets.length) choose(markets[0].id);
  } catch (error) {
    at("note").textContent = `The venue does not answer: ${error.message}`;
    setTimeout(showMarkets, PRICES_EVERY_MS);
    return;
  }
  at("note").textContent = "";
  setTimeout(showMarkets, PRICES_EVERY_MS);
}

function marketRow(market, price) {
  const button = document.createElement("button");
  button.textContent = market.id;
  button.addEventListener("click", () => choose(market.id));
  const line = row([button, price.lastPrice, price.markPrice, market.tickSize, market.lotSize, market.status]);
  line.dataset.market = market.id;
  line.setAttribute("aria-current", String(market.id === state.market));
  return line;
}

function choose(market) {
  if (market === state.market) return;
  const before = state.market;
  state.market = market;
  at("chosen").textContent = market;
  for (const line of at("markets").children) line.setAttribute("aria-current", String(line.dataset.market === market));
  clear();
  if (state.socket?.readyState === WebSocket.OPEN) {
    for (const channel of ["orderbook", "trades"]) {
      if (before) send({ op: "unsubscribe", channel, market: before });
    }
    subscribe();
  }
}

// -- The WebSocket ---------------------------------------------------------------------------------
function send(request) {
  state.socket.send(JSON.stringify(request));
}

function subscribe() {
  if (!state.market) return;
  send({ op: "subscribe", channel: "orderbook", market: state.market, depth: DEPTH });
  send({ op: "subscribe", channel: "trades", market: state.market });
}

function connect() {
  const address = new URL("/ws", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  state.socket = socket;
  socket.addEventListener("open", () => {
    say("live", true);
    subscribe();
  });
  socket.addEventListener("message", (event) => take(JSON.parse(event.data)));
  socket.addEventListener("close", () => {
    say("connecting again", false);
    clear();
    setTimeout(connect, RETRY_MS);
  });
}

function take(message) {
  if (message.market !== state.market || !["snapshot", "update"].includes(message.type)) return;
  if (message.channel === "orderbook") takeBook(message);
  if (message.channel === "trades") takeTrades(message);
  drawSoon();
}

function takeBook(message) {
  if (message.type === "snapshot") {
    state.bids.clear();
    state.asks.clear();
  } else if (message.previousSequence !== state.sequence) {
    send({ op: "subscribe", channel: "orderbook", market: state.market, depth: DEPTH });
    return;
  }
  state.sequence = message.sequence;
  for (const side of ["bids", "asks"]) {
    for (const [price, quantity] of message.data[side]) {
      if (quantity === "0") state[side].delete(price);
      else state[side].set(price, quantity);
    }
  }
}

function takeTrades(message) {
  if (message.type === "snapshot") state.trades = [];
  state.trades = [...message.data].reverse().concat(state.trades).slice(0, TRADES_SHOWN);
}

function clear() {
  state.bids.clear();
  state.asks.clear();
  state.sequence = null;
  state.trades = [];
  drawSoon();
}

// -- Drawing, at most once for each frame ------------------------------------------------------------
function drawSoon() {
  if (!state.drawn) return;
  state.drawn = false;
  setTimeout(draw, 50);
}

function draw() {
  state.drawn = true;
  const best = (side, sign) => [...side].sort((one, other) => sign * (Number(one[0]) - Number(other[0])));
  at("bids").replaceChildren(...best(state.bids, -1).map((level) => row(level, "buy")));
  at("asks").replaceChildren(...best(state.asks, 1).map((level) => row(level, "sell")));
  at("trades").replaceChildren(
    ...state.trades.map((trade) =>
      row([new Date(trade.createdAt).toLocaleTimeString(), trade.side, trade.price, trade.quantity],
        trade.side === "BUY" ? "buy" : "sell")),
  );
}

showMarkets();
connect();
