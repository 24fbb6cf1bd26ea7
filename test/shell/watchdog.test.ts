import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

const WATCHED = resolve(import.meta.dirname, '../fixtures/watched.mjs')
const PRELOAD = resolve(import.meta.dirname, '../fixtures/main-thread-only.cjs')
/** Few looks for what is to die; more for what is to live, since a busy machine delays its beats. */
const FEW = 3
const MANY = 20

type Story = 'hang-at-once' | 'hang-online' | 'hang-after-beats' | 'beats' | 'stops' | 'leaves'

/** A process with a watchdog; `ended` resolves to its exit code and signal. */
function start(t: TestContext, looks: number, story: Story, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [WATCHED, String(looks), story], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  t.after(() => child.kill('SIGKILL'))
  return { child, ended }
}

/** Resolves to what the process answers next. */
const heard = async ({ child }: ReturnType<typeof start>) => String(await once(child.stdout, 'data'))

describe('the watchdog', { timeout: 45_000 }, () => {
  for (const story of ['hang-at-once', 'hang-online', 'hang-after-beats'] as const) {
    it(`kills a process whose main loop hangs (${story})`, async (t) => {
      const { ended } = start(t, FEW, story)
      assert.deepEqual(await ended, [null, 'SIGKILL'])
    })
  }

  it('comes up whatever options the process was started with', async (t) => {
    const preloading = start(t, FEW, 'hang-at-once', { NODE_OPTIONS: `--require ${PRELOAD}` })
    assert.deepEqual(await preloading.ended, [null, 'SIGKILL'])
    const text = ['--input-type=module', '-e', `import ${JSON.stringify(WATCHED)}`]
    const asText = spawn(process.execPath, [...text, 'text', String(FEW), 'hang-at-once'])
    t.after(() => asText.kill('SIGKILL'))
    assert.deepEqual(await once(asText, 'exit'), [null, 'SIGKILL'])
  })

  it('leaves a process that beats alone for longer than one that hangs may live', async (t) => {
    const beating = start(t, MANY, 'beats')
    assert.equal(await heard(beating), 'ready\n')
    assert.deepEqual(await start(t, MANY, 'hang-at-once').ended, [null, 'SIGKILL'])
    beating.child.stdin.write('alive?\n')
    assert.equal(await heard(beating), 'alive?\n')
    beating.child.stdin.end()
    assert.deepEqual(await beating.ended, [0, null], 'the watchdog does not hold it up')
  })

  it('leaves a process alone that was stopped for longer than one that hangs may live', async (t) => {
    const stopped = start(t, MANY, 'beats')
    assert.equal(await heard(stopped), 'ready\n')
    stopped.child.kill('SIGSTOP')
    assert.deepEqual(await start(t, MANY, 'hang-at-once').ended, [null, 'SIGKILL'])
    stopped.child.kill('SIGCONT')
    await start(t, MANY, 'hang-at-once').ended
    stopped.child.stdin.write('alive?\n')
    assert.equal(await heard(stopped), 'alive?\n')
    stopped.child.stdin.end()
    assert.deepEqual(await stopped.ended, [0, null])
  })

  it('does nothing any more once it was stopped', async (t) => {
    assert.deepEqual(await start(t, FEW, 'stops').ended, [9, null])
  })

  it('does not keep a process from ending', async (t) => {
    assert.deepEqual(await start(t, MANY, 'leaves').ended, [0, null])
  })
})
