// The package `ws`.

import { createServer } from 'node:https'
import { createServer as createPlainServer } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import { converse, obey, parse, tell } from './script.mjs'
import { Talker } from './talker_ws.mjs'

function deflate(options) {
  if (options.deflate === 'off') return false
  const forget = options.deflate === 'none'
  const both = forget ? { serverNoContextTakeover: true, clientNoContextTakeover: true } : {}
  return { threshold: 0, ...both }
}

async function connect(options) {
  const ws = new WebSocket(options.url, ['superchat', 'chat'], {
    perMessageDeflate: deflate(options),
    ca: options.ca,
  })
  const talker = new Talker(ws)
  await new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject))
  return talker
}

function serve(options) {
  const server = options.chain
    ? createServer({ cert: options.chain, key: options.key })
    : createPlainServer()
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: deflate(options),
    handleProtocols: asked => (asked.has('chat') ? 'chat' : false),
  })
  sockets.on('connection', ws => obey(new Talker(ws)))
  server.listen(0, '127.0.0.1', () => tell(`listening on 127.0.0.1:${server.address().port}`))
}

const options = parse(process.argv.slice(2))
if (options.role === 'server') serve(options)
else await converse(connect, options)
