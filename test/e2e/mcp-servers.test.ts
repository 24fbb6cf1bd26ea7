import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { orSkip } from '../brains.ts'
import { installServers } from '../mcp-servers.ts'
import { fixture, kill, type Seen, type TestMesh, until } from './mesh.ts'
import { freePort, openMesh, writeDocument } from './run-cli.ts'

const LIMIT = { timeout: 180_000 }

/** Every process of the mesh carries its home in its environment, also what a probe starts. */
function write(mesh: TestMesh, services: Readonly<Record<string, object>>): void {
  const env = { MESH_TAG: mesh.home }
  const tagged = Object.entries(services).map(([name, service]) => [
    name,
    { ...service, env: { ...env, ...(service as { env?: object }).env } },
  ])
  const document = { version: 1, metrics: { enabled: false }, services: Object.fromEntries(tagged) }
  writeDocument(mesh, JSON.stringify(document))
}

/**
 * Of all that runs now, only the supervisor, its keeper and these services go on: the rest are checks at work, since
 * the phase of a periodic check is random, and what a check has left would stay.
 */
async function untilOnlyOwn(mesh: TestMesh, services: readonly string[] = []): Promise<void> {
  const { services: shown } = await mesh.status()
  const own = shown.filter(({ name }) => services.includes(name)).map(({ pid }) => pid)
  const allowed = [mesh.supervisorPid(), mesh.keeperPid(), ...own]
  const strange = mesh.processes().filter(({ pid }) => !allowed.includes(pid))
  const hasEnded = (seen: Seen) =>
    !mesh.processes().some(({ pid, run }) => pid === seen.pid && run === seen.run)
  for (const seen of strange) await until(`the end of ${seen.text}`, () => hasEnded(seen))
}

const installed = await orSkip(installServers())

describe('MCP servers of others', { ...LIMIT, skip: installed === null && 'not to be had here' }, () => {
  const programs = installed ?? ''
  const server = (name: string, ...args: string[]) => [process.execPath, join(programs, name), ...args]

  it('pass as canaries: each is tried out, its tools are counted, and nothing of it is left', async (t) => {
    const mesh = openMesh(t)
    const folder = join(mesh.home, 'files')
    mkdirSync(folder)
    const preset = 'mcp-stdio'
    const env = { MEMORY_FILE_PATH: join(folder, 'memory.json') }
    const modules = dirname(programs)
    const sdk = (...words: string[]) => fixture('mcp-sdk.mjs', modules, ...words)
    write(mesh, {
      everything: {
        preset,
        command: server('mcp-server-everything', 'stdio'),
        call: { name: 'echo', arguments: { message: 'ab' }, expect: 'Echo: ab', harmless: true },
      },
      memory: { preset, command: server('mcp-server-memory'), env, call: { name: 'read_graph' } },
      filesystem: { preset, command: server('mcp-server-filesystem', folder), tools: ['read_text_file'] },
      thinking: { preset, command: server('mcp-server-sequential-thinking') },
      modern: { preset, command: sdk('reject'), call: { name: 'look', expect: 'seen' } },
      both: { preset, command: sdk(), call: { name: 'look', expect: 'seen' } },
      sqlite: { preset, command: server('mcp-server-sqlite', join(folder, 'test.db')) },
      python: {
        preset,
        command: ['python3', fixture('mcp-python.py').at(-1)],
        call: { name: 'kb_search', arguments: { text: 'mcp' }, expect: 'a protocol' },
      },
    })
    const up = await mesh.cli(['up'])
    assert.equal(up.code, 0, up.stdout + up.stderr)
    const { services } = await mesh.status()
    const notes = Object.fromEntries(services.map(({ name, state, note }) => [name, `${state}: ${note}`]))
    const expected = {
      everything: /^running: \S+everything \S+; 13 tools; echo answered$/,
      memory: /^running: memory-server \S+; 9 tools; read_graph answered$/,
      filesystem: /^running: secure-filesystem-server \S+; 14 tools$/,
      thinking: /^running: sequential-thinking-server \S+; 1 tool$/,
      modern: /^running: made-with-sdk 2\.0\.0; 1 tool; look answered$/,
      both: /^running: made-with-sdk 2\.0\.0; 1 tool; look answered$/,
      sqlite: /^running: \S+ \S+; 10 tools$/,
      python: /^running: kb-py 1\.0; 2 tools; no ping; kb_search answered$/,
    }
    for (const [name, note] of Object.entries(expected)) assert.match(notes[name] ?? '', note)
    await untilOnlyOwn(mesh)
    const known = readFileSync(join(mesh.home, 'state', 'known', 'modern.json'), 'utf8')
    assert.equal((JSON.parse(known) as { era: string }).era, 'modern')

    const probed = await mesh.cli(['probe', 'memory', '--json'])
    const { probes } = JSON.parse(probed.stdout) as { probes: { steps: { name: string }[] }[] }
    assert.deepEqual(
      probes[0]?.steps.map(({ name }) => name),
      ['start', 'initialize', 'ping', 'tools/list', 'call read_graph', 'close', 'census'],
    )
    await untilOnlyOwn(mesh)
  })

  it('over HTTP: one is kept alive, and the same is watched by its URL', async (t) => {
    const mesh = openMesh(t)
    const [port, other] = [await freePort(), await freePort()]
    const url = `http://127.0.0.1:${port}/mcp`
    const [node = '', entry = ''] = server('mcp-server-everything')
    const loopback = fixture('loopback-only.mjs')[1]!
    write(mesh, {
      kept: {
        preset: 'mcp-http',
        url,
        command: [node, '--import', loopback, entry, 'streamableHttp'],
        env: { PORT: String(port) },
      },
      watched: { preset: 'mcp-http', url, tools: ['echo'], needs: ['kept'] },
      modern: {
        preset: 'mcp-http',
        url: `http://127.0.0.1:${other}/mcp`,
        command: fixture('mcp-sdk.mjs', dirname(programs), 'reject', String(other)),
        call: { name: 'look', expect: 'seen' },
      },
    })
    const up = await mesh.cli(['up'])
    assert.equal(up.code, 0, up.stdout + up.stderr)
    for (const name of ['kept', 'watched']) {
      const { note } = await mesh.untilService(name, 'is ready', ({ ready }) => ready)
      assert.match(note ?? '', /^\S+everything \S+; 13 tools$/)
    }
    const { note } = await mesh.untilService('modern', 'is ready', ({ ready }) => ready)
    assert.equal(note, 'made-with-sdk 2.0.0; 1 tool; look answered')
    await untilOnlyOwn(mesh, ['kept', 'modern'])
  })

  it('as an owned instance: one that hangs is ended and replaced', async (t) => {
    const mesh = openMesh(t)
    const life = { kind: 'mcp', check: 'life', name: 'often', role: 'liveness' }
    write(mesh, {
      memory: {
        preset: 'mcp-stdio',
        serve: true,
        command: server('mcp-server-memory'),
        env: { MEMORY_FILE_PATH: join(mesh.home, 'memory.json') },
        probes: [{ ...life, every: '1s', timeout: '3s', failureThreshold: 2 }],
      },
    })
    assert.equal((await mesh.cli(['up'])).code, 0)
    const before = await mesh.untilService('memory', 'is ready', ({ ready }) => ready)
    assert.match(before.note ?? '', /^memory-server \S+; 9 tools$/)
    kill(before.pid!, 'SIGSTOP')
    const isReplaced = ({ ready, pid }: { ready: boolean; pid: number | null }) => ready && pid !== before.pid
    await mesh.untilService('memory', 'is replaced', isReplaced)
    const events = await mesh.events('memory')
    assert.match(events.find(({ kind }) => kind === 'hung')?.text ?? '', /tools\/list: no answer in time/)
    await untilOnlyOwn(mesh, ['memory'])
  })
})

describe('a server that is no good', LIMIT, () => {
  it('is degraded with what it said, and leaves nothing behind', async (t) => {
    const mesh = openMesh(t)
    const preset = 'mcp-stdio'
    write(mesh, {
      dies: { preset, command: fixture('mcp-hostile.mjs', 'dies') },
      stubborn: { preset, command: fixture('mcp-hostile.mjs', 'stubborn') },
      wrapped: { preset, command: [...fixture('mcp-wrapper.mjs', mesh.home), fixture('mcp-hostile.mjs')[1]] },
      gone: { preset, command: ['no-such-server-anywhere'] },
    })
    await mesh.cli(['up'])
    const { services } = await mesh.status()
    const shown = Object.fromEntries(
      services.map(({ name, state, reason, note }) => [name, `${state}: ${reason ?? note}`]),
    )
    assert.deepEqual(shown, {
      dies: 'degraded: initialize: exited with code 3 before it answered: ImportError: No module named kb',
      stubborn: 'running: hostile 1.0; 2 tools; goes on when its stdin is closed',
      wrapped: 'running: hostile 1.0; 2 tools',
      gone: 'absent: no-such-server-anywhere is not installed',
    })
    await untilOnlyOwn(mesh)
  })
})

describe('paios mcp accept', LIMIT, () => {
  it('takes the tools that a server has now for what it should have', async (t) => {
    const mesh = openMesh(t)
    const file = join(mesh.home, 'tools.json')
    const say = (...names: string[]) =>
      writeFileSync(file, JSON.stringify(names.map((name) => ({ name, inputSchema: { type: 'object' } }))))
    const declare = (env: object) => {
      const command = fixture('mcp-hostile.mjs', `tools=${file}`)
      write(mesh, { kb: { preset: 'mcp-stdio', command, env }, plain: { command: ['sleep', '100000'] } })
    }
    assert.equal((await mesh.cli(['mcp', 'accept', 'kb'])).code, 4)
    say('a', 'b')
    declare({})
    assert.equal((await mesh.cli(['up'])).code, 0)

    say('a', 'c')
    // A changed service is looked at anew, and not only when five minutes are over.
    declare({ CHANGED: '1' })
    await mesh.cli(['up'])
    const kb = await mesh.untilService('kb', 'is degraded', ({ state }) => state === 'degraded')
    assert.equal(kb.reason, 'tools changed: +c -b (paios mcp accept kb)')

    const { code, stdout } = await mesh.cli(['mcp', 'accept', 'kb'])
    assert.deepEqual([code, stdout], [0, 'kb: 2 tools accepted: a, c\n'])
    await mesh.untilService('kb', 'is well again', ({ ready }) => ready)
    const told = (await mesh.events('kb')).filter(({ kind }) => kind.startsWith('tools-'))
    assert.deepEqual(
      told.map(({ kind, text }) => [kind, text]),
      [
        ['tools-changed', 'tools changed: +c -b'],
        ['tools-accepted', '2 tools accepted'],
      ],
    )
    const json = JSON.parse((await mesh.cli(['mcp', 'accept', 'kb', '--json'])).stdout)
    assert.deepEqual(json, { ok: true, message: 'kb: 2 tools accepted', entries: ['a', 'c'] })

    for (const words of [['accept', 'nobody'], ['accept', 'plain'], ['accept'], ['acept', 'kb']]) {
      const refused = await mesh.cli(['mcp', ...words])
      assert.equal(refused.code, 2, `${words}: ${refused.stderr}`)
    }
    await untilOnlyOwn(mesh, ['plain'])
  })
})
