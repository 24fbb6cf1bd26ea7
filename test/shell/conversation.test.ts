import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Conversation } from '../../probes/probe.ts'
import { LINE_MAX } from '../../supervisor/shell/lines.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { createTarget, temporaryFolder } from '../probes/target.ts'

const table = openProcessTable()
const patient = () => AbortSignal.timeout(20_000)

/** The next line that it says. */
const lineOf = (conversation: Conversation) =>
  new Promise<string>((resolve) => conversation.onLine((line) => resolve(line)))

async function isGone(pid: number): Promise<void> {
  while (table.entry(pid) !== null && !table.entry(pid)?.zombie) await wait(10)
}

describe('a program that a probe talks to', { timeout: 60_000 }, () => {
  it('answers line by line, and ends when its stdin is closed', async (t) => {
    const target = createTarget(await temporaryFolder(t))
    const conversation = await target.converse(['/bin/cat'], { signal: patient() })
    const line = lineOf(conversation)
    conversation.write('hello')
    assert.equal(await line, 'hello')
    await conversation.close()
    assert.deepEqual(await conversation.ended, { code: 0, signal: null })
  })

  it('gets the environment that was asked for, without what was taken away', async (t) => {
    const target = createTarget(await temporaryFolder(t))
    const script = 'echo "$A|$HOME|$PAIOS_RUN"'
    const conversation = await target.converse(['/bin/sh', '-c', script], {
      env: { A: 'a', HOME: null },
      signal: patient(),
    })
    assert.match(await lineOf(conversation), /^a\|\|probe-[0-9a-f]{16}-\d+-\d+$/)
    await conversation.close()
  })

  it('keeps the end of stderr, and does not stall on much of it', async (t) => {
    const target = createTarget(await temporaryFolder(t))
    const script = 'yes noise | head -c 3000000 >&2; echo last >&2; echo done'
    const conversation = await target.converse(['/bin/sh', '-c', script], { signal: patient() })
    assert.equal(await lineOf(conversation), 'done')
    await conversation.ended
    await conversation.close()
    assert.match(conversation.stderr(), /noise\nlast\n$/)
    assert.equal(conversation.stderr().length, 8_192)
  })

  it('hands on a line of 11 MB whole, and drops one that no message can be', async (t) => {
    const target = createTarget(await temporaryFolder(t))
    const script = `head -c ${LINE_MAX + 1} /dev/zero | tr '\\0' x; echo; head -c 11000000 /dev/zero | tr '\\0' y; echo`
    const conversation = await target.converse(['/bin/sh', '-c', script], { signal: patient() })
    const line = await lineOf(conversation)
    assert.deepEqual([line.length, line[0]], [11_000_000, 'y'])
    await conversation.close()
  })

  it('is killed when it ignores the end of its stdin and SIGTERM', async (t) => {
    const target = createTarget(await temporaryFolder(t))
    const script = 'trap "" TERM; echo up; while :; do sleep 1; done'
    const conversation = await target.converse(['/bin/sh', '-c', script], { signal: patient() })
    await lineOf(conversation)
    await conversation.close()
    assert.deepEqual(await conversation.ended, { code: null, signal: 'SIGKILL' })
  })

  it('leaves nothing, not even what has left its group and session', async (t) => {
    const target = createTarget(await temporaryFolder(t))
    const script = 'setsid sleep 600 </dev/null >/dev/null 2>&1 & sleep 601 & echo $!; wait'
    const conversation = await target.converse(['/bin/sh', '-c', script], { signal: patient() })
    const pid = Number(await lineOf(conversation))
    // In the moment of its exec a process shows no environment.
    let run: string | undefined
    while (run === undefined) {
      run = /PAIOS_RUN=([^\0]+)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1]
      await wait(10)
    }
    const ours = () =>
      table.list().filter((entry) => {
        const marker = table.marker(entry.pid)
        return marker.kind === 'run' && marker.run === run
      })
    while (ours().length < 3) await wait(10)
    await conversation.close()
    assert.deepEqual(ours(), [])
  })

  it('is killed at once when its time is over', async (t) => {
    const target = createTarget(await temporaryFolder(t))
    const controller = new AbortController()
    const conversation = await target.converse(['/bin/sleep', '600'], { signal: controller.signal })
    controller.abort()
    assert.deepEqual(await conversation.ended, { code: null, signal: 'SIGKILL' })
    await conversation.close()
    await isGone(conversation.pid)
  })

  it('says what the system says when it cannot be started', async (t) => {
    const target = createTarget(await temporaryFolder(t))
    await assert.rejects(target.converse(['/absent'], { signal: patient() }), { code: 'ENOENT' })
  })
})
