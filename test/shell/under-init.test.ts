import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exitUnder, openNotifier, startedBy } from '../../supervisor/shell/under-init.ts'

const PYTHON = '/usr/bin/python3'
const skip = existsSync(PYTHON) ? false : 'NOT RUN: no python3, which listens on a socket of datagrams'
const LISTEN = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\\0', 1) if sys.argv[1][0] == '@' else sys.argv[1])
s.settimeout(20)
print('listening', flush=True)
for _ in range(3): print(s.recv(100).decode(), flush=True)
`

describe('a supervisor under systemd or launchd', () => {
  it('believes its unit or plist alone', () => {
    assert.equal(startedBy({ PAIOS_BOOT: 'systemd' }), 'systemd')
    assert.equal(startedBy({ PAIOS_BOOT: 'launchd' }), 'launchd')
    assert.equal(startedBy({ INVOCATION_ID: 'x', XPC_SERVICE_NAME: 'y' }), null)
  })

  it('exits so that it is not started again in vain', () => {
    assert.deepEqual(
      [0, 1, 3, 5, 75].map((code) => exitUnder('systemd', code)),
      [0, 1, 77, 77, 75],
    )
    assert.deepEqual(
      [0, 1, 3, 5, 75].map((code) => exitUnder('launchd', code)),
      [0, 1, 0, 0, 75],
    )
    assert.deepEqual(
      [0, 1, 3, 5, 75].map((code) => exitUnder(null, code)),
      [0, 1, 3, 5, 75],
    )
  })

  it('does nothing where nobody listens', () => {
    const notifier = openNotifier({})
    notifier.ready()
    notifier.beat()
    notifier.stopping()
  })

  for (const kind of ['a path', 'an abstract name'] as const) {
    it(`tells systemd over ${kind}: ready, one beat in a third of the watchdog's time, stopping`, {
      skip,
    }, async (t) => {
      const folder = mkdtempSync('/tmp/pn-')
      t.after(() => rmSync(folder, { recursive: true }))
      const socket = kind === 'a path' ? join(folder, 'notify') : `@${folder}/notify`
      let heard = ''
      const listener = execFile(PYTHON, ['-c', LISTEN, socket])
      const ended = new Promise((resolve) => listener.once('exit', resolve))
      await new Promise<void>((resolve) => {
        listener.stdout?.on('data', (text: string) => {
          heard += text
          if (heard.startsWith('listening')) resolve()
        })
      })
      const notifier = openNotifier({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '60000000' })
      notifier.ready()
      notifier.beat()
      notifier.beat()
      notifier.stopping()
      await ended
      assert.deepEqual(heard.trim().split('\n'), ['listening', 'READY=1', 'WATCHDOG=1', 'STOPPING=1'])
    })
  }
})
