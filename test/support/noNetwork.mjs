// Preloaded into a process that must not reach the network: whatever would, ends it with 97.
import dgram from "node:dgram"
import dns from "node:dns"
import net from "node:net"

/** @param {object} owner @param {string} name */
const refuse = (owner, name) =>
  Reflect.set(owner, name, () => {
    process.stderr.write(`reached the network: ${name}\n`)
    process.exit(97)
  })

refuse(net.Socket.prototype, "connect")
refuse(net.Server.prototype, "listen")
refuse(dgram, "createSocket")
refuse(dns, "lookup")
refuse(dns.promises, "lookup")
