// Node's `http2` as a server to our client: obeys as all servers in this folder do, and by its paths
// does what a client has to live with. `h2_server.mjs [--chain FILE --key FILE] [--closed on]`

import { createSecureServer, createServer, constants } from 'node:http2'
import { accept } from './h2_ws.mjs'
import { obey, parse, tell } from './script.mjs'

// `--closed on` takes no WebSockets.
const options = parse(['server', ...process.argv.slice(2)])
const settings = { enableConnectProtocol: options.closed === undefined }
const tls = { cert: options.chain, key: options.key }
const server = options.chain ? createSecureServer({ settings, ...tls }) : createServer({ settings })

// A server that does something at the message `go`, and echoes the others.
async function until(talker, act) {
  for (;;) {
    const message = await talker.recv()
    if (message === 'go') act()
    else await talker.send(message)
  }
}

const PLACES = {
  '/denied': stream => refuse(stream, 403, 'not here\n'),
  '/missing': stream => refuse(stream, 404, 'no such room\n'),
  '/reset': stream => stream.close(constants.NGHTTP2_REFUSED_STREAM),
  '/gone': (stream, headers) =>
    until(accept(stream, headers), () => stream.close(constants.NGHTTP2_CANCEL)),
  '/goaway': (stream, headers) => until(accept(stream, headers), () => stream.session.goaway()),
  '/lost': (stream, headers) => until(accept(stream, headers), () => stream.session.destroy()),
  // Is not read until somebody comes to the other.
  '/slow': (stream, headers) => {
    slow = stream
    const obeying = obeyed(stream, headers)
    stream.pause()
    return obeying
  },
  '/wake': (stream, headers) => {
    slow.resume()
    return obeyed(stream, headers)
  },
}

let slow

function refuse(stream, status, text) {
  stream.respond({ ':status': status, 'content-type': 'text/plain' })
  stream.end(text)
}

server.on('stream', (stream, headers) => {
  stream.on('error', () => {})
  tell('asked over HTTP/2.0')
  if (headers[':method'] !== 'CONNECT' || headers[':protocol'] !== 'websocket') {
    return refuse(stream, 400, 'not a WebSocket\n')
  }
  const place = PLACES[headers[':path']]
  const acting = place ? place(stream, headers) : obeyed(stream, headers)
  acting?.catch?.(() => {})
})

function obeyed(stream, headers) {
  const { remoteAddress, remotePort } = stream.session.socket
  tell(`open tcp4:${remoteAddress}:${remotePort}`)
  return obey(accept(stream, headers))
}

server.on('sessionError', () => {})
server.listen(0, '127.0.0.1', () => tell(`listening on 127.0.0.1:${server.address().port}`))
