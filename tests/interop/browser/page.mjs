// A browser, and what is done in its pages.

import { chromium } from 'playwright-core'

// Starts Chromium, which believes the certificate of the test.
export function launch({ chromium: executablePath, spki }) {
  return chromium.launch({
    executablePath,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      `--ignore-certificate-errors-spki-list=${spki}`,
    ],
  })
}

export function expect(claim, text) {
  if (!claim) throw new Error(text)
}

// Runs in the page: connects, asks in turn, closes; returns all that the page saw.
export function talk({ url, protocols = [], questions, close }) {
  return new Promise(resolve => {
    const log = document.getElementById('log')
    const seen = { events: [], answers: [] }
    const note = text => {
      seen.events.push(text)
      log.textContent += text + '\n'
    }
    const ws = new WebSocket(url, protocols)
    ws.binaryType = 'arraybuffer'
    const asked = questions.map(question => {
      if (question.text !== undefined) return question.text
      const digits = Array.from({ length: question.octets }, (_, i) => (i * 31 + (i >> 8)) & 255)
      return new Uint8Array(digits)
    })
    const next = () => {
      if (seen.answers.length < asked.length) ws.send(asked[seen.answers.length])
      else if (close) ws.close(close.code, close.reason)
    }
    ws.onopen = () => {
      seen.extensions = ws.extensions
      seen.protocol = ws.protocol
      note(`open, protocol "${ws.protocol}", extensions "${ws.extensions}"`)
      next()
    }
    ws.onmessage = ({ data }) => {
      const question = asked[seen.answers.length]
      if (typeof data === 'string') {
        seen.answers.push(data)
        note(`text of ${data.length}`)
      } else {
        const got = new Uint8Array(data)
        const same = got.length === question.length && got.every((octet, i) => octet === question[i])
        seen.answers.push(same ? got.length : 'differs')
        note(`binary of ${got.length}`)
      }
      next()
    }
    ws.onerror = () => note('error')
    ws.onclose = event => {
      seen.close = { code: event.code, reason: event.reason, wasClean: event.wasClean }
      note(`close ${event.code} "${event.reason}" clean ${event.wasClean}`)
      resolve(seen)
    }
  })
}

export function expectClose(seen, code, reason, wasClean) {
  const got = JSON.stringify(seen.close)
  expect(got === JSON.stringify({ code, reason, wasClean }), `closed with ${got}`)
}
