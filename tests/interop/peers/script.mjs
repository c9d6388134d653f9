// What every peer in JavaScript does; the same as `script.py`, which tells what a talker is.

import { readFileSync } from 'node:fs'

export class Absent extends Error {}
export class Ended extends Error {}

const TEXT = 'grüße, 😀'
const PATIENCE = 20_000

export const tell = line => process.stdout.write(line + '\n')

export function parse(words) {
  const [role, ...rest] = words
  const options = { role, url: 'ws://127.0.0.1:0', deflate: 'off' }
  while (rest.length > 0) {
    const word = rest.shift()
    if (word.startsWith('--')) options[word.slice(2)] = rest.shift()
    else options.url = word
  }
  for (const name of ['ca', 'chain', 'key']) {
    if (options[name]) options[name] = readFileSync(options[name])
  }
  return options
}

// Holds the conversation and tells what came of it.
export async function converse(connect, options) {
  let talker = await patiently(connect(options))
  tell(`subprotocol ${talker.subprotocol}`)
  const tellAnswer = async (name, text) => {
    await talker.send(text)
    tell(`${name} ${await patiently(talker.recv())}`)
  }
  await tellAnswer('text', TEXT)
  for (const [name, payload] of [['binary', octets(256)], ['1 MiB', octets(1 << 20)]]) {
    await talker.send(payload)
    const answer = await patiently(talker.recv())
    const same = typeof answer !== 'string' && Buffer.compare(Buffer.from(answer), payload) === 0
    tell(`${name} ${same ? 'same' : 'differs'}`)
  }
  let same = true
  for (let turn = 0; turn < 2; turn++) {
    await talker.send(digits())
    same &&= await patiently(talker.recv()) === digits()
  }
  tell(`twice ${same ? 'same' : 'differs'}`)
  await tellAnswer('fragments in', '!fragments')
  try {
    await talker.sendFragments(['frag', 'ment', 'ed'])
    tell(`fragments out ${await patiently(talker.recv())}`)
  } catch (error) {
    if (!(error instanceof Absent)) throw error
    tell('fragments out absent')
  }
  await patiently(talker.ping('from client'))
  tell('ping out answered')
  await tellAnswer('ping in', '!ping')
  await talker.close(4000, 'from client')
  tell(`close out ${(await patiently(talker.closed())).join(' ')}`)

  talker = await patiently(connect(options))
  await talker.send('!close')
  tell(`close in ${(await patiently(talker.closed())).join(' ')}`)
}

// Serves one connection to its end.
export async function obey(talker) {
  try {
    for (;;) {
      const message = await talker.recv()
      if (message === '!fragments') await talker.sendFragments(['one ', 'two ', 'three'])
      else if (message === '!ping') {
        await talker.ping('from server')
        await talker.send('!pong')
      } else if (message === '!close') await talker.close(4001, 'from server')
      else await talker.send(message)
    }
  } catch (error) {
    if (!(error instanceof Ended)) throw error
    tell(`closed ${(await talker.closed()).join(' ')}`)
  }
}

// Messages, pongs and the end, to be waited for.
export class Mailbox {
  #messages = new Queue()
  #pongs = new Queue()
  #end = Promise.withResolvers?.() ?? resolvers()

  put(message) { this.#messages.put(message) }
  putPong(payload) { this.#pongs.put(payload) }
  end(code, reason) {
    this.#end.resolve([code, reason])
    this.#messages.put(Ended)
  }

  async recv() {
    const message = await this.#messages.take()
    if (message !== Ended) return message
    this.#messages.put(Ended)
    throw new Ended('no further message')
  }

  async pong(payload) {
    const got = await this.#pongs.take()
    if (got !== payload) throw new Error(`a pong of ${got} for a ping of ${payload}`)
  }

  closed() { return this.#end.promise }
}

class Queue {
  #items = []
  #takers = []

  put(item) {
    const taker = this.#takers.shift()
    if (taker) taker(item)
    else this.#items.push(item)
  }

  take() {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift())
    return new Promise(resolve => this.#takers.push(resolve))
  }
}

function resolvers() {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}

async function patiently(promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('nothing came in time')), PATIENCE)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function digits() {
  let state = 1
  let found = ''
  for (let i = 0; i < 2048; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    found += '0123456789abcdef'[(state >> 16) & 15]
  }
  return found
}

function octets(count) {
  return Buffer.from(Uint8Array.from({ length: count }, (_, i) => (i * 31 + (i >> 8)) & 255))
}
