// Node's `http2` as a client of our server: `h2_client.mjs CHECK URL [CA]`, where the URL is one
// of `http` or `https`. Ends with 0 and says `done` if everything was as it must be.

import { connect, constants } from 'node:http2'
import { readFileSync } from 'node:fs'
import { allowed, open, openStream, Refused } from './h2_ws.mjs'
import { converse, Ended } from './script.mjs'

const [name, url, ca] = process.argv.slice(2)
const MIB = 1 << 20

async function begin(settings = {}, more = {}) {
  const session = connect(url, { ca: ca && readFileSync(ca), settings, ...more })
  session.authority = new URL(url).host
  await allowed(session)
  return session
}

function expect(claim, text) {
  if (!claim) throw new Error(text)
}

function expectSame(got, wanted) {
  const [left, right] = [got, wanted].map(value => JSON.stringify(value))
  expect(left === right, `${left} and not ${right}`)
}

async function within(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} takes too long`)), 30_000)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

async function echo(talker, message) {
  await talker.send(message)
  const answer = await within(talker.recv(), 'an echo')
  expect(Buffer.compare(Buffer.from(answer), Buffer.from(message)) === 0, 'the echo differs')
}

async function ended(talker, code, reason) {
  expectSame(await within(talker.closed(), 'the end'), [code, reason])
}

async function refused(session, options, status) {
  try {
    await within(open(session, options), 'a refusal')
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    expectSame(error.status, status)
    return error
  }
  throw new Error(`accepted and not refused with ${status}`)
}

async function conversation(options, settings, more) {
  const session = await begin(settings, more)
  await converse(() => open(session, options), {})
  return session
}

const CHECKS = {
  plain: () => conversation({}),
  deflate: () => conversation({ deflate: {} }),
  forgetful: () => conversation({
    deflate: { serverNoContextTakeover: true, clientNoContextTakeover: true },
  }),

  // Windows of a few octets, and frames that are mostly padding.
  crumbs: () => conversation({}, { initialWindowSize: 100 }),
  padded: () => conversation({}, {}, { paddingStrategy: constants.PADDING_STRATEGY_MAX }),

  // Octet by octet, each in a DATA frame of its own.
  async octets() {
    const session = await begin()
    const { stream } = await openStream(session)
    const frame = Buffer.from([0x81, 0x85, 0, 0, 0, 0, ...Buffer.from('Hello')])
    for (const octet of frame) {
      await new Promise(resolve => stream.write(Buffer.from([octet]), resolve))
    }
    const got = await within(new Promise(resolve => stream.once('data', resolve)), 'an echo')
    expectSame([...got], [0x81, 5, ...Buffer.from('Hello')])
    return session
  },

  async many() {
    const session = await begin()
    const talkers = await Promise.all(Array.from({ length: 50 }, () => open(session)))
    for (let turn = 0; turn < 10; turn++) {
      await Promise.all(talkers.map((talker, i) => echo(talker, `${turn} of ${i}`)))
    }
    await Promise.all(talkers.map((talker, i) => echo(talker, Buffer.alloc(100_000, i))))
    const halves = [talkers.slice(0, 25), talkers.slice(25)]
    await Promise.all(halves[0].map((talker, i) => talker.close(3000 + i, `number ${i}`)))
    await Promise.all(halves[0].map((talker, i) => within(talker.closed(), 'the end').then(([code]) =>
      expectSame(code, 3000 + i))))
    await Promise.all(halves[1].map(talker => talker.send('!close')))
    await Promise.all(halves[1].map(talker => ended(talker, 4001, 'from server')))
    return session
  },

  // A stream that is not read fills up; the others know nothing of it.
  async paused() {
    // Node keeps what it cannot send, in MB.
    const session = await begin({}, { maxSessionMemory: 100 })
    const [slow, other] = [await open(session), await open(session)]
    slow.ws.stream.pause()
    const messages = Array.from({ length: 16 }, (_, i) => Buffer.alloc(MIB, i))
    for (const message of messages) await slow.send(message)
    // Until nothing more of it is taken.
    let left = Infinity
    for (;;) {
      await new Promise(resolve => setTimeout(resolve, 500))
      if (slow.ws.bufferedAmount === left) break
      left = slow.ws.bufferedAmount
    }
    const taken = (16 * MIB - left) / MIB
    expect(taken < 8, 'nobody was pushed back')
    for (let turn = 0; turn < 5; turn++) await echo(other, Buffer.alloc(MIB, turn))
    await echo(await open(session), 'a third one')
    slow.ws.stream.resume()
    for (const message of messages) {
      const answer = await within(slow.recv(), 'an echo of the slow one')
      expect(Buffer.compare(answer, message) === 0, 'the slow one got something else')
    }
    await slow.close(4000, 'from client')
    await within(slow.closed(), 'the end')
    return session
  },

  // RST_STREAM, END_STREAM without a close frame, and a session that goes on.
  async reset() {
    const session = await begin()
    const [reset, half, other] = [await open(session), await open(session), await open(session)]
    for (const talker of [reset, half, other]) await echo(talker, 'before')
    reset.ws.stream.close(constants.NGHTTP2_CANCEL)
    half.ws.stream.end()
    await within(half.closed(), 'the end')
    for (let turn = 0; turn < 10; turn++) await echo(other, `after ${turn}`)
    await other.close(4000, 'from client')
    await within(other.closed(), 'the end')
    return session
  },

  // TCP is gone, with all that ran over it.
  async lost() {
    const session = await begin()
    for (let i = 0; i < 3; i++) await echo(await open(session), 'before')
    session.destroy()
    return session
  },

  async refusals() {
    const session = await begin()
    const denied = await refused(session, { path: '/denied' }, 403)
    expectSame(denied.body, 'not here\n')
    await refused(session, { headers: { origin: 'https://evil.example' } }, 403)
    const old = await refused(session, { headers: { 'sec-websocket-version': '8' } }, 400)
    expectSame(old.headers['sec-websocket-version'], '13')
    await refused(session, { headers: { ':protocol': 'connect-udp' } }, 501)
    const talker = await open(session, { headers: { origin: 'https://good.example' } })
    await echo(talker, 'and yet')
    await talker.close(4000, 'from client')
    await within(talker.closed(), 'the end')
    return session
  },

  // Rules of RFC 6455 are told with their codes, and are a matter of one stream.
  async broken() {
    const session = await begin()
    const other = await open(session)
    const rules = [
      [[0x81, 0x01, 0x41], 1002], // Not masked.
      [[0x83, 0x80, 0, 0, 0, 0], 1002], // A reserved opcode.
      [[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007], // Not UTF-8.
    ]
    for (const [octets, code] of rules) {
      const { stream } = await openStream(session)
      stream.write(Buffer.from(octets))
      const parts = []
      await within((async () => {
        for await (const part of stream) parts.push(part)
      })(), 'the end')
      const frame = Buffer.concat(parts)
      expectSame([frame[0], frame.readUInt16BE(2)], [0x88, code])
      await echo(other, `after ${code}`)
    }
    return session
  },
}

try {
  const session = await CHECKS[name]()
  session.destroy()
  console.log(`done ${name}`)
} catch (error) {
  const shown = error instanceof Ended ? 'the connection ended' : error.stack
  console.log(`failed: ${shown}`)
  process.exit(1)
}
