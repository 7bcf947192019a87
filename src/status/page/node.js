/** The node's page: each message of its stream, shown. */
import { loadAddresses, refreshAddresses, showBook, startAddresses } from "./addresses.js"
import { $, text } from "./dom.js"
import { addEvents, startFeed } from "./feed.js"
import { showFigures, startFigures } from "./figures.js"
import { clock, many } from "./format.js"
import { showGraph, startGraph } from "./graph.js"
import { readLive, tryNow } from "./live.js"
import { startLogin } from "./login.js"
import { showBans, startOperating } from "./operate.js"
import { filterPeers, openPeer, showPeers, startPeers } from "./peers.js"
import { apply, begin } from "./state.js"
import { startTheme } from "./theme.js"
import { showWho } from "./who.js"

let state
let heardAt

/** Whatever asks the node can be used while it is there. */
const enable = (isThere) => {
  for (const control of document.querySelectorAll(".asks")) control.disabled = !isThere
  // One that is open can be closed.
  for (const opener of document.querySelectorAll(".opens")) {
    opener.disabled = !isThere && opener.getAttribute("aria-expanded") !== "true"
  }
}

const showHealth = () => {
  const { health, peers } = state
  text("network", health.network)
  text("listen", health.listen ?? "only dials")
  const count = peers.size
  const isReady = count >= health.wanted
  document.title = `${many(count, "peer", "peers")} · network-effect`
  $("ready").className = `state ${isReady ? "good" : "warn"}`
  text(
    "ready",
    isReady ? `ready, ${many(count, "peer", "peers")}` : `${count} of the ${health.wanted} peers that make it ready`
  )
}

const show = () => {
  showHealth()
  showFigures(state)
  showGraph(state)
  showPeers(state)
  showWho(state, filterPeers)
  showBook(state)
  showBans(state)
}

const onMessage = (message) => {
  heardAt = Date.now()
  if (message._tag === "Snapshot") {
    state = begin(message)
    addEvents(state.process, message.events, true)
    document.body.dataset.state = "here"
    show()
    enable(true)
    void loadAddresses()
    return
  }
  const { book } = state
  apply(state, message)
  addEvents(state.process, message.events ?? [], false)
  show()
  refreshAddresses(state.book !== book)
}

const onAway = (why) => {
  document.body.dataset.state = "away"
  $("ready").className = "state bad"
  document.title = `${why} · network-effect`
  text(
    "ready",
    why === "locked"
      ? "locked: it needs its token"
      : heardAt === undefined
        ? "away: the node does not answer, trying again"
        : `away since ${clock(heardAt)}: what is shown is of then`
  )
  enable(false)
}

startTheme()
startFigures()
startGraph(openPeer)
startFeed()
startPeers()
startAddresses()
startOperating()
startLogin("node", tryNow)
enable(false)
void readLive({ onMessage, onAway })
