// Drives Chromium: opens the pages that the examples serve, and connects from pages of its own.
//
// Started by `run` with where the servers are, as JSON; prints a line for each check.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, expectClose, launch, talk } from './page.mjs'

const given = JSON.parse(process.argv[2])
const PATIENCE = 30_000
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

async function open(browser, url, shot, options) {
  const page = await browser.newPage({ viewport: { width: 900, height: 600 }, ...options })
  page.setDefaultTimeout(PATIENCE)
  page.faults = []
  page.on('pageerror', error => page.faults.push(error.message))
  await page.goto(url)
  page.shoot = number => page.screenshot({ path: join(given.shots, `${shot}${number ?? ''}.png`) })
  return page
}

// An empty page, for scripts of the test; its origin is that of the URL it was asked under.
function blank() {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end('<!DOCTYPE html><title>Test</title><link rel="icon" href="data:,"><pre id="log"></pre>')
  })
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)))
}

async function times(browser) {
  const page = await open(browser, given.time, 'browser_time')
  const shown = () => page.evaluate(() => document.body.innerText)
  const clock = /\d{1,2}:\d\d:\d\d/
  await page.waitForFunction(() => /\d{1,2}:\d\d:\d\d/.test(document.body.innerText))
  const first = await shown()
  await page.shoot()
  await page.waitForFunction(before => document.body.innerText !== before, first)
  await page.waitForFunction(() => /\d{1,2}:\d\d:\d\d/.test(document.body.innerText))
  const second = await shown()
  await page.shoot('-later')
  const all = text => text.match(new RegExp(clock, 'g')).join(' ')
  expect(all(first) !== all(second), `the time stands still: ${all(second)}`)
  expect(page.faults.length === 0, page.faults.join())
  await page.close()
}

async function counter(browser) {
  const pages = [
    await open(browser, given.counter, 'counter-first'),
    await open(browser, given.counter, 'counter-second'),
  ]
  const shows = (page, id, text) => page.waitForFunction(
    ([id, text]) => document.getElementById(id).textContent.trim() === text, [id, text])
  for (const page of pages) {
    await shows(page, 'value', '0')
    await shows(page, 'users', '2 users online')
  }
  await pages[0].click('#plus')
  for (const page of pages) await shows(page, 'value', '1')
  await pages[1].click('#plus')
  await pages[1].click('#plus')
  for (const page of pages) await shows(page, 'value', '3')
  await pages[0].click('#minus')
  for (const page of pages) {
    await shows(page, 'value', '2')
    await page.shoot()
    expect(page.faults.length === 0, page.faults.join())
  }
  await pages[1].close()
  await shows(pages[0], 'users', '1 user online')
  await pages[0].close()
}

// An example that the test itself stops, and starts again; it ends with the test, as one of its group.
async function start(program, address) {
  const child = spawn(program, [address], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(createInterface(child.stdout), 'line')
  const [, origin] = line.match(/^open (http:\/\/\S+?)\/$/)
  return { child, origin }
}

// What Ctrl-C does.
async function interrupt({ child }) {
  child.kill('SIGINT')
  const [status] = await once(child, 'exit')
  expect(status === 0, `the server ended with ${status}`)
}

async function chat(browser) {
  let server = await start(given.chat, '127.0.0.1:0')
  const narrow = { viewport: { width: 400, height: 700 }, colorScheme: 'dark' }
  const ada = await open(browser, server.origin, 'chat')
  const bob = await open(browser, server.origin, 'chat-narrow', narrow)
  const pages = [ada, bob]
  const says = async (page, text) => {
    await page.fill('#text', text)
    await page.press('#text', 'Enter')
  }
  const shows = (selector, text) => Promise.all(pages.map(
    page => page.locator(selector).filter({ hasText: text }).first().waitFor()))
  await bob.shoot('-enter')
  for (const [page, name] of [[ada, 'Ada'], [bob, 'Böb']]) {
    await page.fill('#name', name)
    await page.press('#name', 'Enter')
    await page.waitForSelector('#state.open')
  }
  await shows('#count', '2 here')
  await says(ada, 'hello, <i id="evil">Böb</i>')
  await says(bob, 'averylongword'.repeat(30))
  await shows('.message', 'hello, <i id="evil">Böb</i>')
  await shows('.message', 'averylongword'.repeat(30))
  for (const page of pages) {
    expect(await page.locator('#evil').count() === 0, 'a message became HTML')
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it is too wide')
    await page.shoot('-talk')
  }
  await bob.reload()
  await shows('.message', 'hello, ')
  await shows('.message', 'averylongword')
  await shows('#guests', 'Böb')
  expect(await bob.locator('.message').count() === 2, 'the history is not two messages')
  await interrupt(server)
  await shows('#state.lost', 'server shuts down')
  await Promise.all(pages.map(page => page.shoot('-lost')))
  server = await start(given.chat, new URL(server.origin).host)
  await shows('#state.open', 'connected')
  await shows('#count', '2 here')
  await says(bob, 'there it is again')
  await shows('.message', 'there it is again')
  for (const page of pages) {
    await page.shoot('-again')
    expect(page.faults.length === 0, page.faults.join())
    await page.close()
  }
  await interrupt(server)
}

async function mounted(browser) {
  const server = await start(given.hyper, '127.0.0.1:0')
  const page = await open(browser, server.origin, 'hyper_mount')
  await page.waitForSelector('#state.open')
  await page.fill('#text', 'hello, hyper')
  await page.press('#text', 'Enter')
  await page.locator('li').filter({ hasText: 'hello, hyper' }).waitFor()
  await page.locator('li').filter({ hasText: 'hello, tcp4:127.0.0.1:' }).waitFor()
  await page.shoot()
  await interrupt(server)
  await page.waitForSelector('#state.lost')
  expect(page.faults.length === 0, page.faults.join())
  await page.close()
}

async function echo(page) {
  const url = given.echo
  const questions = [{ text: 'grüße, 😀' }, { octets: 256 }, { octets: 1 << 20 }, { text: '' }]
  const seen = await page.evaluate(talk, { url, questions, close: { code: 4000, reason: 'von hier' } })
  await page.shoot()
  const answers = JSON.stringify(seen.answers)
  expect(answers === JSON.stringify(['grüße, 😀', 256, 1 << 20, '']), `answers ${answers}`)
  expect(/^permessage-deflate/.test(seen.extensions), `extensions ${seen.extensions}`)
  expectClose(seen, 4000, 'von hier', true)
}

async function orders(page, url) {
  const questions = ['!fragments', '!ping', '!close'].map(text => ({ text }))
  const seen = await page.evaluate(talk, { url, protocols: ['superchat', 'chat'], questions })
  await page.shoot()
  const answers = JSON.stringify(seen.answers)
  expect(answers === JSON.stringify(['one two three', '!pong']), `answers ${answers}`)
  expect(seen.protocol === 'chat', `protocol ${seen.protocol}`)
  expectClose(seen, 4001, 'from server', true)
}

async function stranger(page) {
  const seen = await page.evaluate(talk, { url: given.echo, questions: [], close: { code: 1000, reason: '' } })
  await page.shoot()
  const events = seen.events.join('; ')
  expect(seen.events[0] === 'error', `a page of another origin saw: ${events}`)
  expectClose(seen, 1006, '', false)
}

const server = await blank()
const port = server.address().port
const browser = await launch(given)
console.log(`Chromium ${browser.version()}`)
await check('browser_time: times appear and move', () => times(browser))
await check('counter: two pages, one counter', () => counter(browser))
await check('axum_chat: two pages talk, reload, lose the server and find it again', () => chat(browser))
await check('hyper_mount: its page echoes', () => mounted(browser))
const ours = await open(browser, `http://localhost:${port}/`, 'echo')
await check('echo_server: deflate, text, binary, 1 MiB, close code', () => echo(ours))
const obeyed = await open(browser, `http://localhost:${port}/`, 'orders')
await check('interop_server: fragments, ping, close by the server', () => orders(obeyed, given.server))
const secure = await open(browser, `http://localhost:${port}/`, 'tls')
await check('interop_server: the same over TLS', () => orders(secure, given.secure))
const foreign = await open(browser, `http://127.0.0.1:${port}/`, 'origin')
await check('echo_server: a page of another origin is refused', () => stranger(foreign))
await browser.close()
server.close()
process.exit(failed === 0 ? 0 : 1)
