// Three nodes of chat_cluster behind nginx, with a broker between them: guests and pages on different nodes.
//
// Started by `run` with where the programs are, as JSON; prints a line for each check.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import { expect, launch } from './page.mjs'

const given = JSON.parse(process.argv[2])
const PATIENCE = 60_000
let failed = 0

async function check(name, run) {
  try {
    await run()
    console.log(`ok: ${name}`)
  } catch (error) {
    failed++
    console.log(`FAILED: ${name}: ${error.message}`)
  }
}

const pause = millis => new Promise(resolve => setTimeout(resolve, millis))

async function until(what, holds) {
  const end = Date.now() + PATIENCE
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`)
    await pause(20)
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

function isOpen(port) {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => { socket.destroy(); resolve(true) })
    socket.on('error', () => resolve(false))
  })
}

// Ends with the test, as one of its group.
function start(command) {
  const [program, ...words] = command
  return spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] })
}

// From one moment to the next, without a word to anybody.
async function kill(child) {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const BROKERS = {
  nats: port => [given.nats, '-a', '127.0.0.1', '-p', `${port}`],
  redis: port => [given.redis, '--bind', '127.0.0.1', '--port', `${port}`, '--save', '', '--dir', given.folder],
}

async function startBroker(kind, port) {
  const child = start(BROKERS[kind](port))
  child.stdout.resume()
  await until(`${kind} listens`, () => isOpen(port))
  return child
}

async function startNode(kind, port, name) {
  const child = start([given.chat, '127.0.0.1:0', '--name', name, '--interval', '500', `--${kind}`, `${kind}://127.0.0.1:${port}`])
  const [line] = await once(createInterface(child.stdout), 'line')
  const [, address] = line.match(/^open http:\/\/(\S+?)\/$/)
  return { child, name, address }
}

async function startNginx(kind, nodes) {
  const port = await freePort()
  let text = await readFile(given.config, 'utf8')
  for (const [number, node] of nodes.entries()) text = text.replace(`127.0.0.1:300${number + 1}`, node.address)
  const path = join(given.folder, `${kind}.conf`)
  await writeFile(path, text.replace('127.0.0.1:8080', `127.0.0.1:${port}`))
  const child = start([given.nginx, '-e', 'stderr', '-p', given.folder, '-c', path])
  await until('nginx listens', () => isOpen(port))
  return { child, port }
}

class Guest {
  guests = new Map()
  said = []
  states = []
  left = []

  constructor(port, name) {
    this.name = name
    this.ws = new WebSocket(`ws://127.0.0.1:${port}/rooms/lobby/${name}`)
    this.ws.on('error', () => {})
    this.ws.on('close', code => { this.closed = code })
    this.ws.on('message', data => {
      const event = JSON.parse(data)
      if (event.type === 'welcome') Object.assign(this, { id: event.id, node: event.node })
      if (event.type === 'guests') this.guests = new Map(event.guests.map(one => [one.id, one]))
      if (event.type === 'enter') this.guests.set(event.id, event)
      if (event.type === 'leave') { this.guests.delete(event.id); this.left.push(event.id) }
      if (event.type === 'message') this.said.push(`${event.name}: ${event.text}`)
      if (event.type === 'node') this.states.push(event.alone)
    })
  }

  async entered() {
    await until(`${this.name} is welcome`, () => this.node !== undefined || this.closed !== undefined)
    expect(this.closed === undefined, `${this.name} was closed with ${this.closed}`)
    return this
  }

  say(text) {
    this.ws.send(text)
  }

  get names() {
    return [...this.guests.values()].map(one => one.name).sort().join()
  }
}

// Waits until all have what they should.
async function same(what, guests, have, wanted) {
  try {
    await until(what, () => guests.every(guest => have(guest) === wanted(guest)))
  } catch {
    throw new Error(`${what}: ${guests.map(have).join(' | ')} and not ${guests.map(wanted).join(' | ')}`)
  }
}

// Everybody says something, and everybody hears everything once.
async function talk(guests, greeting) {
  for (const guest of guests) guest.said.length = 0
  for (const guest of guests) guest.say(`${greeting} ${guest.name}`)
  const wanted = guests.map(({ name }) => `${name}: ${greeting} ${name}`).sort().join()
  await same('heard', guests, guest => [...guest.said].sort().join(), () => wanted)
  await pause(200)
  for (const { said } of guests) expect(said.length === guests.length, `heard twice: ${said}`)
}

// A page in a room, once it is inside.
async function open(browser, url, name, options) {
  const page = await browser.newPage({ viewport: { width: 900, height: 600 }, ...options })
  page.setDefaultTimeout(PATIENCE)
  page.faults = []
  page.on('pageerror', error => page.faults.push(error.message))
  await page.goto(url)
  await page.fill('#name', name)
  await page.press('#name', 'Enter')
  await page.waitForSelector('#state.open')
  page.node = async () => (await page.textContent('#state')).replace('connected to ', '')
  return page
}

const shows = (pages, selector, text) => Promise.all(pages.map(
  page => page.locator(selector).filter({ hasText: text }).first().waitFor()))

const shoot = (pages, name) => Promise.all(pages.map(
  (page, number) => page.screenshot({ path: join(given.shots, `cluster-${name}-${number + 1}.png`) })))

async function says(page, text) {
  await page.fill('#text', text)
  await page.press('#text', 'Enter')
}

async function cluster(kind, browser) {
  const brokerPort = await freePort()
  let broker = await startBroker(kind, brokerPort)
  const nodes = await Promise.all(['one', 'two', 'three'].map(name => startNode(kind, brokerPort, name)))
  const nginx = await startNginx(kind, nodes)
  const guests = []
  for (const name of ['Ada', 'Bob', 'Cleo']) guests.push(await new Guest(nginx.port, name).entered())

  await check(`${kind}: nginx leads three guests to three nodes, who see and hear each other`, async () => {
    expect(new Set(guests.map(guest => guest.node)).size === 3, `they are on ${guests.map(guest => guest.node)}`)
    await same('present', guests, guest => guest.names, () => 'Ada,Bob,Cleo')
    await talk(guests, 'hello from')
  })

  const url = `http://127.0.0.1:${nginx.port}/rooms/attic`
  const narrow = { viewport: { width: 400, height: 700 }, colorScheme: 'dark' }
  const pages = [await open(browser, url, 'Dora'), await open(browser, url, 'Emil', narrow)]
  await check(`${kind}: two pages on different nodes talk`, async () => {
    const [dora, emil] = await Promise.all(pages.map(page => page.node()))
    expect(dora !== emil, `both are on ${dora}`)
    await shows(pages, '#count', '2 here')
    await says(pages[0], 'hello, <i id="evil">Emil</i>')
    await shows(pages, '.message p', 'hello, <i id="evil">Emil</i>')
    await says(pages[1], 'good evening')
    await shows(pages, '.message p', 'good evening')
    expect(await pages[1].locator('#evil').count() === 0, 'a message became HTML')
    await shoot(pages, `${kind}-talk`)
  })

  await check(`${kind}: the broker dies: every node is told, and has its own`, async () => {
    await kill(broker)
    await same('alone', guests, guest => guest.states.at(-1), () => true)
    await shows(pages, '#state.alone', 'is alone')
    await same('present', guests, guest => guest.names, guest => guest.name)
    await shows(pages, '#count', '1 here')
    guests[0].say('anybody?')
    await until('Ada hears herself', () => guests[0].said.includes('Ada: anybody?'))
    expect(!guests[1].said.includes('Ada: anybody?'), 'Bob hears her without a broker')
    await shoot(pages, `${kind}-alone`)
  })

  await check(`${kind}: it comes again: they see and hear each other`, async () => {
    broker = await startBroker(kind, brokerPort)
    await same('alone', guests, guest => guest.states.at(-1), () => false)
    await shows(pages, '#state.open', 'connected to')
    await same('present', guests, guest => guest.names, () => 'Ada,Bob,Cleo')
    await shows(pages, '#count', '2 here')
    await talk(guests, 'again from')
    await says(pages[0], 'there you are')
    await shows(pages, '.message p', 'there you are')
    await shoot(pages, `${kind}-again`)
  })

  await check(`${kind}: a node dies: its guests disappear, and come again to another`, async () => {
    const name = await pages[0].node()
    await kill(nodes.find(node => node.name === name).child)
    const dead = guests.filter(guest => guest.node === name)
    const alive = guests.filter(guest => guest.node !== name)
    expect(dead.length === 1, `${dead.length} were on ${name}`)
    await until('its guest is closed', () => dead[0].closed === 1006)
    await until('its guest has left', () => alive.every(guest => guest.left.at(-1) === dead[0].id))
    await shows(pages.slice(0, 1), '#state.open', 'connected to')
    expect(await pages[0].node() !== name, 'the page is on a dead node')
    const back = await new Guest(nginx.port, 'Dave').entered()
    expect(back.node !== name, 'he is on a dead node')
    await talk([...alive, back], 'left with')
    await shows(pages, '#count', '2 here')
    await says(pages[0], 'that was a leap')
    await shows(pages, '.message p', 'that was a leap')
    // What was said before is still to be seen.
    await shows(pages, '.message p', 'there you are')
    await shoot(pages, `${kind}-leap`)
    for (const page of pages) expect(page.faults.length === 0, page.faults.join())
    back.ws.terminate()
  })

  for (const guest of guests) guest.ws.terminate()
  for (const page of pages) await page.close()
  const children = [nginx.child, ...nodes.map(node => node.child), broker]
  await Promise.all(children.filter(child => child.exitCode === null && child.signalCode === null).map(kill))
}

const browser = await launch(given)
console.log(`Chromium ${browser.version()}`)
for (const kind of Object.keys(BROKERS)) {
  try {
    await cluster(kind, browser)
  } catch (error) {
    failed++
    console.log(`FAILED: ${kind}: ${error.stack}`)
  }
}
await browser.close()
process.exit(failed === 0 ? 0 : 1)
