// Chromium with a page of our server's, whose WebSockets go over the page's own connection of
// HTTP/2: `h2_browser.mjs CHECK GIVEN`, where the latter is JSON. Ends as `h2_client.mjs` does.

import { expect, expectClose, launch, talk } from './page.mjs'

const [name, given] = [process.argv[2], JSON.parse(process.argv[3])]

async function open(browser) {
  const page = await browser.newPage({ viewport: { width: 900, height: 600 } })
  page.setDefaultTimeout(30_000)
  const response = await page.goto(given.page)
  expect(response.status() === 200, `the page has status ${response.status()}`)
  const version = await page.evaluate(() =>
    performance.getEntriesByType('navigation')[0].nextHopProtocol)
  expect(version === 'h2', `the page came by ${version}`)
  await page.evaluate(() => { document.body.innerHTML = '<pre id="log"></pre>' })
  return page
}

const QUESTIONS = [{ text: 'grüße, 😀' }, { octets: 256 }, { octets: 1 << 20 }, { text: '!ping' }]
const CLOSE = { code: 4000, reason: 'from client' }
const ANSWERS = ['grüße, 😀', 256, 1 << 20, '!pong']

function expectAnswers(seen, wanted) {
  const answers = JSON.stringify(seen.answers)
  expect(answers === JSON.stringify(wanted), `answers ${answers}`)
}

async function conversation(page) {
  const protocols = ['superchat', 'chat']
  const url = given.socket
  const both = [
    page.evaluate(talk, { url, protocols, questions: QUESTIONS, close: CLOSE }),
    page.evaluate(talk, { url, protocols, questions: [...QUESTIONS, { text: '!close' }] }),
  ]
  const [first, second] = await Promise.all(both)
  for (const seen of [first, second]) {
    expectAnswers(seen, ANSWERS)
    expect(seen.protocol === 'chat', `protocol ${seen.protocol}`)
    expect(/^permessage-deflate/.test(seen.extensions), `extensions ${seen.extensions}`)
  }
  expectClose(first, 4000, 'from client', true)
  expectClose(second, 4001, 'from server', true)
}

// A page that goes away ends its streams with RST_STREAM; the next one goes on with the same session.
async function leaving(page) {
  const asked = { url: given.socket, count: 5 }
  await page.evaluate(({ url, count }) => Promise.all(Array.from({ length: count }, () => {
    const ws = new WebSocket(url)
    return new Promise((resolve, reject) => {
      ws.onmessage = resolve
      ws.onerror = () => reject(new Error('no connection'))
      ws.onopen = () => ws.send('hello')
    })
  })), asked)
  await page.goto(given.page)
  const after = { url: given.socket, questions: [{ text: 'again' }], close: CLOSE }
  await page.evaluate(() => { document.body.innerHTML = '<pre id="log"></pre>' })
  const seen = await page.evaluate(talk, after)
  expectAnswers(seen, ['again'])
}

async function denied(page) {
  const url = `${given.socket}/denied`
  const seen = await page.evaluate(talk, { url, questions: [], close: { code: 1000, reason: '' } })
  expect(seen.events[0] === 'error', `the page saw ${seen.events.join('; ')}`)
  expectClose(seen, 1006, '', false)
}

// A listener of our own, which has no HTTP/2, from a page that came over it.
async function elsewhere(page) {
  const asked = { url: given.elsewhere, protocols: ['chat'], questions: QUESTIONS, close: CLOSE }
  const seen = await page.evaluate(talk, asked)
  expectAnswers(seen, ANSWERS)
  expectClose(seen, 4000, 'from client', true)
}

const CHECKS = { conversation, leaving, denied, elsewhere }
const browser = await launch(given)
console.log(`Chromium ${browser.version()}`)
try {
  await CHECKS[name](await open(browser))
  await browser.close()
  console.log(`done ${name}`)
} catch (error) {
  console.log(`failed: ${error.stack}`)
  process.exit(1)
}
