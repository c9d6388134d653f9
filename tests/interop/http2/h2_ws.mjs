// WebSockets of the package `ws` on streams of Node's `http2` (RFC 8441): Node speaks HTTP/2 and
// `ws` the frames.

import { PerMessageDeflate, WebSocket, extension } from 'ws'
import { Talker } from './talker_ws.mjs'

const SWITCHES = { autoPong: true, closeTimeout: 30_000, allowSynchronousEvents: true }
const DEFLATE = 'permessage-deflate'

class StreamSocket extends WebSocket {
  constructor(stream, { isServer, protocol, deflate }) {
    super(null, undefined, SWITCHES)
    this._isServer = isServer
    this._protocol = protocol ?? ''
    if (deflate) this._extensions[DEFLATE] = deflate
    this.stream = stream
    this.setSocket(stream, Buffer.alloc(0), { maxPayload: 0 })
  }
}

export class Refused extends Error {
  constructor(headers, body) {
    super(`answered with ${headers[':status']}`)
    Object.assign(this, { status: headers[':status'], headers, body })
  }
}

// Waits for the settings that allow WebSockets, which a client must (RFC 8441 §3).
export async function allowed(session) {
  session.on('error', () => {})
  if (session.remoteSettings.enableConnectProtocol) return
  await new Promise((resolve, reject) => {
    session.on('remoteSettings', resolve)
    session.on('close', () => reject(new Error('the session ended before its settings came')))
  })
  if (!session.remoteSettings.enableConnectProtocol) throw new Error('no extended CONNECT')
}

// Opens a stream for a WebSocket; fails with `Refused`.
export async function openStream(session, { path = '/', headers = {} } = {}) {
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': session.encrypted ? 'https' : 'http',
    ':authority': session.originSet?.[0] ? new URL(session.originSet[0]).host : session.authority,
    ':path': path,
    'sec-websocket-version': '13',
    ...headers,
  })
  const answer = await new Promise((resolve, reject) => {
    stream.once('response', resolve)
    stream.once('error', reject)
  })
  if (answer[':status'] === 200) return { stream, answer }
  let body = ''
  for await (const chunk of stream) body += chunk
  stream.end()
  throw new Refused(answer, body)
}

// Opens a WebSocket on a session; fails with `Refused`.
export async function open(session, options = {}) {
  const deflate = options.deflate ? new PerMessageDeflate({ threshold: 0, ...options.deflate }) : null
  const headers = { 'sec-websocket-protocol': 'superchat, chat', ...options.headers }
  if (deflate) headers['sec-websocket-extensions'] = extension.format({ [DEFLATE]: deflate.offer() })
  const { stream, answer } = await openStream(session, { ...options, headers })
  for (const name of ['upgrade', 'connection', 'sec-websocket-accept']) {
    if (answer[name] !== undefined) throw new Error(`the response has ${name}`)
  }
  const chosen = answer['sec-websocket-extensions']
  if ((chosen !== undefined) !== (deflate !== null)) throw new Error(`extensions ${chosen}`)
  if (deflate) deflate.accept(extension.parse(chosen)[DEFLATE])
  const protocol = answer['sec-websocket-protocol']
  return new Talker(new StreamSocket(stream, { isServer: false, protocol, deflate }))
}

// Accepts a request of a client.
export function accept(stream, headers) {
  const answer = { ':status': 200 }
  const names = (headers['sec-websocket-protocol'] ?? '').split(',').map(word => word.trim())
  const protocol = names.includes('chat') ? 'chat' : undefined
  if (protocol) answer['sec-websocket-protocol'] = protocol
  let deflate = null
  const asks = headers['sec-websocket-extensions']
  const offers = asks ? extension.parse(asks) : {}
  if (offers[DEFLATE]) {
    deflate = new PerMessageDeflate({ threshold: 0, isServer: true })
    deflate.accept(offers[DEFLATE])
    answer['sec-websocket-extensions'] = extension.format({ [DEFLATE]: [deflate.params] })
  }
  stream.respond(answer)
  return new Talker(new StreamSocket(stream, { isServer: true, protocol, deflate }))
}
