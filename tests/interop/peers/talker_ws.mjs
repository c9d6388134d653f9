// A talker on a WebSocket of the package `ws`.

import { Mailbox } from './script.mjs'

export class Talker {
  mailbox = new Mailbox()

  constructor(ws) {
    this.ws = ws
    ws.on('message', (data, isBinary) => this.mailbox.put(isBinary ? data : data.toString()))
    ws.on('pong', payload => this.mailbox.putPong(payload.toString()))
    ws.on('close', (code, reason) => this.mailbox.end(code, reason.toString()))
  }

  get subprotocol() { return this.ws.protocol }
  async send(message) { this.ws.send(message) }
  async sendFragments(parts) {
    parts.forEach((part, i) => this.ws.send(part, { fin: i === parts.length - 1 }))
  }
  recv() { return this.mailbox.recv() }
  async ping(payload) {
    this.ws.ping(payload)
    await this.mailbox.pong(payload)
  }
  async close(code, reason) { this.ws.close(code, reason) }
  closed() { return this.mailbox.closed() }
}
