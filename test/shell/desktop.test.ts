/** Notifications on the screen. The far side is a small program named notify-send that writes down its arguments. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Message } from '../../supervisor/shell/alert-tables.ts'
import type { Channel } from '../../supervisor/shell/channel.ts'
import { desktopChannel, findDesktop } from '../../supervisor/shell/desktop.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'

const folder = mkdtempSync('/tmp/pd-')
const bin = join(folder, 'bin')
const told = join(folder, 'told')
const oldPath = process.env['PATH']
const BUS = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/bus` }

before(() => {
  mkdirSync(bin)
  // Before the first look: the PATH of services is read once. What this machine has installed does not count.
  process.env['PATH'] = bin
  install(
    `{ printf '%s\\n' "$DBUS_SESSION_BUS_ADDRESS"; for one in "$@"; do printf '<%s>\\n' "$one"; done; } > ${told}`,
  )
})
after(() => {
  process.env['PATH'] = oldPath
  rmSync(folder, { recursive: true })
})

function install(script: string): void {
  const path = join(bin, 'notify-send')
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
}
const messageOf = (title: string, lines: string[]) => ({ body: JSON.stringify({ title, lines }) }) as Message
const deliver = (channel: Channel | null, title: string, ...lines: string[]) =>
  channel!.deliver(messageOf(title, lines), null, AbortSignal.timeout(20_000))
const programs = () => openProbePrograms(openProcessTable(), folder)

describe('a notification on the screen', { timeout: 60_000 }, () => {
  it('on Linux hands texts over as arguments, whatever they look like', async () => {
    const channel = desktopChannel(programs(), findDesktop('linux', BUS))
    const text = ['$(touch /tmp/never) `id`; "quoted" \'too\'', '--urgency=low', '<b>x</b> & y']
    assert.deepEqual(await deliver(channel, 'kb failed', ...text), { kind: 'sent', remote: null, bug: null })
    const body = `${text[0]}\n${text[1]}\n&lt;b&gt;x&lt;/b&gt; &amp; y`
    assert.equal(
      readFileSync(told, 'utf8'),
      `${BUS.DBUS_SESSION_BUS_ADDRESS}\n<--urgency=critical>\n<--app-name=PAIOS>\n<-->\n<PAIOS: kb failed>\n<${body}>\n`,
    )
    assert.ok(!existsSync('/tmp/never'))
  })

  it('that is long is cut', async () => {
    await deliver(desktopChannel(programs(), findDesktop('linux', BUS)), 'x'.repeat(500), 'y'.repeat(5_000))
    const [title = '', text = ''] = readFileSync(told, 'utf8').split('\n').slice(4)
    assert.deepEqual([title.length, text.length], [122, 402])
  })

  it('whose program fails is tried again, and says why', async () => {
    install('echo "cannot reach the server" >&2; exit 1')
    const outcome = await deliver(desktopChannel(programs(), findDesktop('linux', BUS)), 'kb failed')
    assert.deepEqual(outcome, { kind: 'failed', reason: 'server', text: 'cannot reach the server' })
  })

  it('is none where there is no bus of a session', () => {
    const found = findDesktop('linux', { XDG_RUNTIME_DIR: folder })
    assert.deepEqual(found, { kind: 'absent', reason: 'there is no bus of a session' })
    assert.equal(desktopChannel(programs(), found), null)
    writeFileSync(join(folder, 'bus'), '')
    assert.equal(findDesktop('linux', { XDG_RUNTIME_DIR: folder }).kind, 'found')
  })

  it('is none where notify-send is not installed', () => {
    rmSync(join(bin, 'notify-send'))
    assert.deepEqual(findDesktop('linux', BUS), { kind: 'absent', reason: 'notify-send is not installed' })
  })

  it('on macOS hands the texts over as arguments of a script that never changes', () => {
    const found = findDesktop('darwin')
    assert.ok(found.kind === 'found')
    const [program, ...args] = found.argv('PAIOS: "a"', 'b" & quit')
    assert.equal(program, '/usr/bin/osascript')
    assert.deepEqual(args.slice(-2), ['PAIOS: "a"', 'b" & quit'])
    assert.deepEqual(args.slice(0, -2), found.argv('', '').slice(1, -2))
  })
})
