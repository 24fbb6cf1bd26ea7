import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { bootSupervisor, exposedHome, prepareHome } from '../../supervisor/cli/boot.ts'
import { isListening, request } from '../../supervisor/cli/client.ts'

const KEEPER = join(import.meta.dirname, '../../supervisor/shell/keeper.sh')

/** Ends every keeper and supervisor of a home; a keeper first, since it would start the next supervisor. */
function endAll(home: string): void {
  const list = () =>
    execFileSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 })
      .split('\n')
      .filter((line) => line.includes(`PAIOS_HOME=${home} `) || line.endsWith(`PAIOS_HOME=${home}`))
      .sort((a, b) => Number(b.includes('keeper.sh')) - Number(a.includes('keeper.sh')))
  for (let left = list(); left.length > 0; left = list()) {
    for (const line of left) {
      try {
        process.kill(Number.parseInt(line, 10), 'SIGKILL')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
  }
}

/** A package with the real keeper, whose entry is a program of this test's. */
async function packageWith(t: TestContext, program: string): Promise<{ home: string; entry: string }> {
  const root = await mkdtemp(join(tmpdir(), 'paios-boot-'))
  t.after(async () => {
    endAll(join(root, 'home'))
    await rm(root, { recursive: true })
  })
  await mkdir(join(root, 'supervisor', 'shell'), { recursive: true })
  await mkdir(join(root, 'bin'))
  await copyFile(KEEPER, join(root, 'supervisor', 'shell', 'keeper.sh'))
  const entry = join(root, 'bin', 'entry.mjs')
  await writeFile(entry, program)
  const home = join(root, 'home')
  await prepareHome(home)
  return { home, entry }
}

const LISTEN = `
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
const home = process.env.PAIOS_HOME
const server = createServer((request, response) => {
  const boot = JSON.parse(readFileSync(home + '/run/boot.json', 'utf8'))
  response.end(JSON.stringify({ boot, args: process.argv.slice(2), cwd: process.cwd() }))
  server.close()
})
server.listen(home + '/run/paios.sock')
`

describe('starting a supervisor in the background', () => {
  it('hands the mesh over in a private file and returns when the socket answers', async (t) => {
    const { home, entry } = await packageWith(t, LISTEN)
    const boot = { documentHash: 'abc', mesh: { specs: [] } }
    await bootSupervisor(home, entry, boot)
    const answer = JSON.parse((await request(home, 'GET', '/')).body)
    assert.deepEqual(answer, { boot, args: ['supervise'], cwd: home })
    assert.equal((await stat(join(home, 'run', 'boot.json'))).mode & 0o777, 0o600)
  })

  it('shows what the supervisor wrote where it crashes, and leaves no keeper that goes on trying', async (t) => {
    const { home, entry } = await packageWith(t, "console.error('no good reason'); process.exitCode = 7")
    await assert.rejects(bootSupervisor(home, entry, { documentHash: 'abc', mesh: {} }), {
      code: 'internal',
      message: /did not start \(.*ended with code 7.*no good reason/s,
    })
    assert.equal(await isListening(home), false)
    assert.equal(
      (await readFile(join(home, 'logs', 'supervisor', 'keeper.log'), 'utf8')).match(/code 7/g)?.length,
      1,
    )
  })

  it('joins the supervisor of an up that was quicker', async (t) => {
    const { home, entry } = await packageWith(t, `${LISTEN}\nserver.on('error', () => process.exit(5))`)
    const boot = { documentHash: 'abc', mesh: {} }
    await Promise.all([bootSupervisor(home, entry, boot), bootSupervisor(home, entry, boot)])
    await request(home, 'GET', '/')
  })
})

it('a home is made private, and one that others can read is named', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'paios-home-'))
  t.after(() => rm(root, { recursive: true }))
  await prepareHome(join(root, 'new'))
  assert.equal(exposedHome(join(root, 'new')), null)
  await mkdir(join(root, 'open'), { mode: 0o755 })
  await prepareHome(join(root, 'open'))
  assert.match(exposedHome(join(root, 'open')) ?? '', /chmod 700/)
})
