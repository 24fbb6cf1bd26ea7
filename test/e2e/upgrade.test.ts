import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createMesh, until } from './mesh.ts'
import { pidsOf } from './run-cli.ts'

/** Writes the numbers from 1 on, a line each, about 500 a second. */
const WRITER = 'let n = 0; setInterval(() => console.log(++n), 2)'
const WRITERS = ['one', 'two', 'three', 'four', 'five']

describe('an upgrade under load', { timeout: 300_000 }, () => {
  const mesh = createMesh()
  const next = mkdtempSync('/tmp/pv-')
  const { home } = mesh
  const pids = async () => pidsOf(await mesh.status())
  const inForce = () => readlinkSync(join(home, 'versions', 'current'))
  const runsFrom = () => readlinkSync(`/proc/${mesh.supervisorPid()}/exe`)
  const edit = (file: string, change: (text: string) => string) =>
    writeFileSync(join(next, file), change(readFileSync(join(next, file), 'utf8')))
  const setVersion = (version: string) =>
    edit('package.json', (text) => text.replace(/"version": "[^"]*"/, `"version": "${version}"`))
  let first: Awaited<ReturnType<typeof pids>>
  let oldId: string
  let newId: string

  before(async () => {
    const command = [process.execPath, '-e', WRITER]
    mesh.write(Object.fromEntries(WRITERS.map((name) => [name, { command }])))
    assert.equal((await mesh.cli(['up'])).code, 0)
    first = await pids()
  })
  after(async () => {
    await mesh.end()
    rmSync(next, { recursive: true, force: true })
  })

  it('shows its steps with --dry-run and makes no copy', async () => {
    const { code, stdout } = await mesh.cli(['upgrade', '--dry-run'])
    assert.equal(code, 0)
    assert.match(stdout, /^would make the copy /m)
    assert.match(stdout, /^would hand over from pid \d+: services go on with their pids; /m)
    assert.ok(!readdirSync(home).includes('versions'))
  })

  it('moves the supervisor of a clone to a copy of its own', async () => {
    const { code, stdout, stderr } = await mesh.cli(['upgrade'])
    assert.equal(code, 0, `${stdout}${stderr}`)
    oldId = inForce()
    assert.equal(runsFrom(), join(home, 'versions', oldId, 'bin', 'node'))
    assert.deepEqual(await pids(), first)
    assert.match((await mesh.cli(['upgrade'])).stdout, /^nothing: /)
  })

  it('goes forth to another version and back, three times, and no service notices', async () => {
    cpSync(join(home, 'versions', oldId, 'app'), next, { recursive: true })
    setVersion('0.1.99')
    for (let round = 0; round < 3; round++) {
      const forth = await mesh.cli(['upgrade', '--to', round === 0 ? next : '0.1.99'])
      assert.equal(forth.code, 0, forth.stderr)
      assert.equal((await mesh.status()).version, '0.1.99')
      newId = inForce()
      assert.equal(runsFrom(), join(home, 'versions', newId, 'bin', 'node'))
      assert.deepEqual(await pids(), first)
      const back = await mesh.cli(['upgrade', '--to', 'previous'])
      assert.equal(back.code, 0, back.stderr)
      assert.equal(inForce(), oldId)
      assert.notEqual((await mesh.status()).version, '0.1.99')
      assert.deepEqual(await pids(), first)
    }
  })

  it('changes nothing for a paios that does not load', async () => {
    const { pid } = await mesh.status()
    setVersion('0.1.100')
    edit('supervisor/shell/api.ts', (text) => `${text}\nthis is no TypeScript\n`)
    edit('supervisor/main.ts', (text) => `import './shell/api.ts'\n${text}`)
    const { code, stderr } = await mesh.cli(['upgrade', '--to', next])
    assert.equal(code, 1)
    assert.match(stderr, /the copy does not run, nothing was changed: SyntaxError/)
    assert.equal((await mesh.status()).pid, pid)
    assert.deepEqual(
      readdirSync(join(home, 'versions')).toSorted(),
      ['current', 'previous', oldId, newId].toSorted(),
    )
  })

  it('puts the former version back where the new one loads and does not come up', async () => {
    cpSync(join(home, 'versions', oldId, 'app'), next, { recursive: true })
    setVersion('0.1.101')
    edit('supervisor/main.ts', (text) => text.replace('async function supervise(', 'async function never('))
    edit(
      'supervisor/main.ts',
      (text) => `${text}\nasync function supervise(_: MainOptions): Promise<number> {\n  return 70\n}\n`,
    )
    const { code, stderr } = await mesh.cli(['upgrade', '--to', next])
    assert.equal(code, 1)
    assert.match(stderr, /supervisor ended with code 70[\s\S]*everything was put back/)
    assert.equal(inForce(), oldId)
    await until('the former version answers', async () => (await mesh.status()).version !== '0.1.101')
    assert.equal(runsFrom(), join(home, 'versions', oldId, 'bin', 'node'))
    assert.deepEqual(await pids(), first)
  })

  it('refuses while an edit is not applied, since the new version would read it', async () => {
    writeFileSync(join(home, 'paios.yaml'), `${readFileSync(join(home, 'paios.yaml'), 'utf8')}\n# an edit\n`)
    const { code, stderr } = await mesh.cli(['upgrade', '--to', 'previous'])
    assert.equal(code, 5)
    assert.match(stderr, /not applied/)
    assert.equal((await mesh.cli(['up'])).code, 0)
  })

  it('says which versions there are where it knows no such one', async () => {
    const { code, stderr } = await mesh.cli(['upgrade', '--to', '9.9.9'])
    assert.equal(code, 2)
    assert.ok(stderr.includes(oldId), stderr)
    const { stdout } = await mesh.cli(['upgrade', '--list'])
    assert.match(stdout, new RegExp(`^${oldId} .*\\(in force\\)$`, 'm'))
    assert.match(stdout, new RegExp(`^${newId} .*\\(previous\\)$`, 'm'))
  })

  it('has lost no line of any writer, and restarted none', async () => {
    const { services } = await mesh.status()
    assert.deepEqual(
      services.map(({ restarts, generation }) => [restarts, generation]),
      WRITERS.map(() => [0, 1]),
    )
    for (const name of WRITERS) {
      const numbers = readFileSync(join(home, 'logs', name, 'current.log'), 'utf8')
        .trimEnd()
        .split('\n')
        .map(Number)
      // The last line may be written just now.
      assert.deepEqual(
        numbers.slice(0, -1),
        Array.from({ length: numbers.length - 1 }, (_, index) => index + 1),
        name,
      )
      assert.ok(numbers.length > 1_000, `${name} has written only ${numbers.length} lines`)
    }
  })
})
