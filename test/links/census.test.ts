import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { type Copy, openArgvSource, takeCensus } from '../../supervisor/links/census.ts'
import { endOrphan } from '../../supervisor/links/ending.ts'
import { digest } from '../../supervisor/links/identity.ts'
import { openProcessTable, psTable } from '../../supervisor/shell/process-table.ts'
import { isAlive, openWorld, pidsOf, until } from './world.ts'

const table = openProcessTable()
const source = openArgvSource()
const LIMIT = { timeout: 60_000 }
const counted = (id: string, argv: readonly string[], env: Record<string, string> = {}) => ({
  id,
  argv,
  env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, digest(value)])),
  cwd: null,
})
const census = (...servers: ReturnType<typeof counted>[]) => takeCensus(table, source, servers)
/** The only copy of a server once the shell that has started it is gone. */
const handedOn = (server: ReturnType<typeof counted>) =>
  until('its shell has ended', () => {
    const [copy] = census(server)
    return copy !== undefined && !/^started by/.test(copy.standing.why) && copy
  })
const standing = ({ standing: { kind } }: Copy) => kind

describe('the census', LIMIT, () => {
  it('counts as many copies as ps, each with its client and its memory', async (t) => {
    const world = openWorld(t)
    const [one, other] = [world.command('deaf', 'one'), world.command('deaf', 'other')]
    const first = await world.client(one, other)
    const second = await world.client(one)
    const copies = census(counted('one', one), counted('other', other))
    assert.deepEqual(
      copies.map(({ id, pid, client, parent }) => [id, pid, client?.kind, client?.pid, parent?.pid]).sort(),
      [
        ['one', first.servers[0], 'claude', first.pid, first.pid],
        ['one', second.servers[0], 'claude', second.pid, second.pid],
        ['other', first.servers[1], 'claude', first.pid, first.pid],
      ].sort(),
    )
    const seen = pidsOf(`${one.slice(0, 3).join(' ')} one`)
    assert.deepEqual(
      copies
        .filter(({ id }) => id === 'one')
        .map(({ pid }) => pid)
        .sort(),
      seen.sort(),
    )
    for (const { memoryBytes, startedAt } of copies) {
      assert.ok(memoryBytes !== null && memoryBytes > 1024 ** 2 && memoryBytes < 1024 ** 3)
      assert.ok(startedAt !== null && Math.abs(Date.now() - startedAt) < 60_000)
    }
    const byPs = takeCensus(psTable(), openArgvSource('darwin'), [counted('one', one)])
    assert.deepEqual(byPs.map(({ pid }) => pid).sort(), seen.sort())
  })

  it('tells servers with the same command apart by their variables', async (t) => {
    const world = openWorld(t)
    const argv = world.command('deaf')
    const servers = [counted('a', argv, { KB: 'a' }), counted('b', argv, { KB: 'b' }), counted('none', argv)]
    const started = [
      await world.begin(argv, { KB: 'b' }),
      await world.begin(argv, { KB: 'c' }),
      await world.begin(argv, { KB: 'a' }),
    ]
    const ids = new Map(census(...servers).map(({ pid, id }) => [pid, id]))
    assert.deepEqual(
      started.map(({ pid }) => ids.get(pid)),
      ['b', 'none', 'a'],
    )
  })
})

describe('an orphan', LIMIT, () => {
  it('is a copy whose client was killed and that nobody can talk to any more', async (t) => {
    const world = openWorld(t)
    const [deaf, polite] = [world.command('deaf'), world.command('polite')]
    const client = await world.client(deaf, polite)
    const look = () => census(counted('deaf', deaf), counted('polite', polite))
    assert.deepEqual(look().map(standing), ['client', 'client'])
    client.child.kill('SIGKILL')
    const [orphan] = await until('only the deaf one is left', () => {
      const copies = look()
      return copies.length === 1 && copies
    })
    assert.equal(orphan?.pid, client.servers[0])
    assert.deepEqual(orphan?.standing, { kind: 'orphan', why: 'nobody holds the other end of its stdin' })
  })

  it('is none whose stdin somebody still holds, be it a pipe, nor one that reads from no client', async (t) => {
    const world = openWorld(t)
    const number = `1000${process.pid}`
    const server = counted('kb', ['sleep', number])
    await world.begin(['sh', '-c', `sleep 2000${process.pid} | sleep ${number} & echo up`])
    // Until both are executed, ps shows the shell's own line, which names the two of them.
    const writer = await until('both run', () => {
      const [pid, ...more] = pidsOf(`sleep 2000${process.pid}`)
      const [other, ...others] = pidsOf(`sleep ${number}`)
      const areBoth = pid !== undefined && other !== undefined && pid !== other
      return areBoth && more.length + others.length === 0 && pid
    })
    const piped = await handedOn(server)
    assert.deepEqual(
      [piped.standing.kind, piped.standing.why],
      ['held', `pid ${writer} (sleep) holds the other end of its stdin`],
    )
    process.kill(writer, 'SIGKILL')
    await until('the writer is gone', () =>
      census(server).some(({ standing: { kind } }) => kind === 'orphan'),
    )

    const daemon = counted('daemon', ['sleep', `3000${process.pid}`])
    await world.begin(['sh', '-c', `sleep 3000${process.pid} </dev/null & echo up`])
    assert.equal((await handedOn(daemon)).standing.why, 'reads from /dev/null, which is no client')
  })

  it('is none whose launcher has ended while its client talks on', async (t) => {
    const world = openWorld(t)
    const [number, other] = [`4000${process.pid}`, `5000${process.pid}`]
    // Any process that calls itself claude is the client; this one writes nothing.
    const client = `(exec -a claude sleep ${other})`
    await world.begin(['bash', '-c', `${client} | sleep ${number} & echo up`])
    const { why } = await until('the launcher is gone', () => {
      const [copy] = census(counted('kb', ['sleep', number]))
      return copy?.standing.kind === 'client' && copy.standing
    })
    const [pid] = pidsOf(`claude ${other}`)
    assert.equal(why, `claude (pid ${pid}) talks to it, its launcher has ended`)
  })

  it('is none that somebody else has started or that bears the mark of a supervisor', async (t) => {
    const world = openWorld(t)
    const argv = world.command('deaf')
    const own = await world.begin(argv)
    const marked = await world.begin(argv, { PAIOS_RUN: '01TEST' })
    const copies = new Map(census(counted('kb', argv)).map((copy) => [copy.pid, copy.standing]))
    assert.match(copies.get(own.pid)!.why, new RegExp(`^started by .+ \\(pid ${process.pid}\\)$`))
    assert.deepEqual(copies.get(marked.pid), { kind: 'supervisor', why: 'started by a PAIOS supervisor' })
  })
})

describe('ending an orphan', LIMIT, () => {
  const options = (look: () => readonly Copy[]) => ({ table, source, look })

  it('ends it and all that it has started, and kills what ignores SIGTERM', async (t) => {
    const world = openWorld(t)
    const [parent, stubborn] = [world.command('parent'), world.command('stubborn')]
    const look = () => census(counted('parent', parent), counted('stubborn', stubborn))
    const client = await world.client(parent, stubborn)
    client.child.kill('SIGKILL')
    const orphans = await until('both are orphans', () => {
      const copies = look()
      return copies.every((copy) => standing(copy) === 'orphan') && copies
    })
    const child = orphans.find(({ id }) => id === 'parent')!.members[1]!.pid
    const ended = await Promise.all(orphans.map((orphan) => endOrphan(orphan, options(look))))
    assert.deepEqual(
      ended.map(({ kind, left }) => [kind, left]),
      [
        ['ended', []],
        ['ended', []],
      ],
    )
    assert.deepEqual([...client.servers, child].filter(isAlive), [])
    assert.deepEqual(ended.flatMap(({ pids }) => pids).sort(), [...client.servers, child].sort())
  })

  it('spares what is not exactly what was looked at', async (t) => {
    const world = openWorld(t)
    const argv = world.command('deaf')
    const look = () => census(counted('kb', argv))
    const { child, servers } = await world.client(argv)
    const [before] = look()
    assert.equal((await endOrphan(before!, options(look))).kind, 'spared', 'its client lives')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const [orphan] = await until('it is an orphan', () => {
      const copies = look()
      return copies.some((copy) => standing(copy) === 'orphan') && copies
    })
    const [root] = orphan!.members
    for (const changed of [
      { ...root, start: '1' },
      { ...root, words: [...root.words, 'more'] },
    ]) {
      const other = { ...orphan!, members: [changed] as const }
      assert.deepEqual(await endOrphan({ ...other, members: [changed] }, options(look)), {
        kind: 'spared',
        pids: [],
        left: [],
        why: 'it has ended by itself',
      })
    }
    assert.ok(isAlive(servers[0]!))
  })
})
