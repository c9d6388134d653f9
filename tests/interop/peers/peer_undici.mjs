// The package `undici`: the WebSocket of browsers, for clients only; also what Node has built in.

import { channel } from 'node:diagnostics_channel'
import { Agent, WebSocket, ping } from 'undici'
import { Absent, Mailbox, converse, parse } from './script.mjs'

class Talker {
  mailbox = new Mailbox()

  constructor(ws) {
    this.ws = ws
    ws.binaryType = 'arraybuffer'
    ws.onmessage = event => this.mailbox.put(event.data)
    ws.onclose = event => this.mailbox.end(event.code, event.reason)
    channel('undici:websocket:pong').subscribe(({ websocket, payload }) => {
      if (websocket === ws) this.mailbox.putPong(Buffer.from(payload).toString())
    })
  }

  get subprotocol() { return this.ws.protocol }
  async send(message) { this.ws.send(message) }
  async sendFragments() { throw new Absent('the interface of browsers has whole messages only') }
  recv() { return this.mailbox.recv() }
  async ping(payload) {
    ping(this.ws, Buffer.from(payload))
    await this.mailbox.pong(payload)
  }
  async close(code, reason) { this.ws.close(code, reason) }
  closed() { return this.mailbox.closed() }
}

async function connect(options) {
  const dispatcher = new Agent(options.ca ? { connect: { ca: options.ca } } : {})
  const ws = new WebSocket(options.url, { protocols: ['superchat', 'chat'], dispatcher })
  const talker = new Talker(ws)
  // The event tells no reason; the channel does.
  let cause
  channel('undici:client:connectError').subscribe(({ error }) => { cause = error })
  await new Promise((resolve, reject) => {
    ws.onopen = resolve
    ws.onerror = event => reject(new Error(event.message, { cause }))
  })
  return talker
}

await converse(connect, parse(process.argv.slice(2)))
process.exit(0)
