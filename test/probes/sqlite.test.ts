import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  rmdir,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { TestContext } from 'node:test'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ProbeTarget } from '../../probes/probe.ts'
import { sqlite } from '../../probes/sqlite.ts'
import {
  createTarget,
  openProbe,
  reasonOf,
  settingsOf,
  startProgram,
  temporaryFolder,
  type Written,
} from './target.ts'

const HOLDER = fileURLToPath(new URL('../fixtures/holds-database.mjs', import.meta.url))
const isRoot = process.getuid?.() === 0
const MODES = ['delete', 'wal'] as const

/** A closed database of 200 rows. */
function createDatabase(file: string, mode: 'delete' | 'wal'): void {
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);`)
  const insert = database.prepare('INSERT INTO notes (text) VALUES (?)')
  database.exec('BEGIN')
  for (let row = 0; row < 200; row++) insert.run('note '.repeat(100))
  database.exec('COMMIT')
  database.close()
}

/** Another process that runs these statements and then stays as it is. */
async function startHolder(t: TestContext, file: string, ...statements: string[]) {
  return startProgram(t, [process.execPath, '--no-warnings', HOLDER, file, ...statements])
}

async function end(child: Awaited<ReturnType<typeof startHolder>>): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** What lies in a folder, byte for byte, but for -shm, in which a reader may write its mark. */
async function contentsOf(folder: string) {
  const names = (await readdir(folder)).sort()
  const contents = names.map(async (name) => {
    if (name.endsWith('-shm')) return name
    const { mtimeMs } = await stat(`${folder}/${name}`)
    return `${name} ${mtimeMs} ${(await readFile(`${folder}/${name}`)).toString('base64')}`
  })
  return Promise.all(contents)
}

/** A folder for databases alone: programs of the target may put their own things elsewhere. */
async function place(t: TestContext, mode: 'delete' | 'wal') {
  const folder = `${await temporaryFolder(t)}/data`
  await mkdir(folder)
  const file = `${folder}/kb.sqlite`
  createDatabase(file, mode)
  return { folder, file }
}

const EVERYTHING = {
  integrity: 'full',
  wal: '64MiB',
  query: { sql: 'SELECT count(*) FROM notes', equals: 200 },
} as const

for (const mode of MODES) {
  describe(`a database in ${mode} mode`, () => {
    test('passes when nobody has it open, and is left as it was', async (t) => {
      const { folder, file } = await place(t, mode)
      const before = await contentsOf(folder)
      const check = await openProbe(t, sqlite, { file, ...EVERYTHING })
      assert.deepEqual(await check(), { kind: 'pass', note: null })
      assert.deepEqual(await contentsOf(folder), before)
    })

    test('passes while its service has it open, and nothing is written back', async (t) => {
      const { folder, file } = await place(t, mode)
      const holder = await startHolder(t, file, "INSERT INTO notes (text) VALUES ('one more')")
      const before = await contentsOf(folder)
      const query = { sql: 'SELECT count(*) FROM notes', equals: 201 }
      const check = await openProbe(t, sqlite, { file, integrity: 'quick', query })
      assert.deepEqual(await check(), { kind: 'pass', note: null })
      assert.deepEqual(await contentsOf(folder), before)
      await end(holder)
      const left = await contentsOf(folder)
      assert.deepEqual(await check(), { kind: 'pass', note: null })
      assert.deepEqual(
        await contentsOf(folder),
        left,
        'a WAL that was left is not the checkers to write back',
      )
    })

    for (const statement of ['BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE']) {
      test(`fails while ${statement} of another process holds it, and names that one`, async (t) => {
        const { folder, file } = await place(t, mode)
        const check = await openProbe(t, sqlite, { file })
        const holder = await startHolder(t, file, statement)
        const before = await contentsOf(folder)
        assert.equal(
          reasonOf(await check()),
          `kb.sqlite: database locked by pid ${holder.pid} (node holds-database.mjs)`,
        )
        assert.deepEqual(await contentsOf(folder), before)
        await end(holder)
        assert.equal((await check()).kind, 'pass')
      })
    }

    test('passes while a reader is slow', async (t) => {
      const { file } = await place(t, mode)
      await startHolder(t, file, 'SELECT * FROM notes')
      const check = await openProbe(t, sqlite, { file, ...EVERYTHING })
      assert.deepEqual(await check(), { kind: 'pass', note: null })
    })

    test('is damaged where a page is overwritten, which only the integrity check finds', async (t) => {
      const { file } = await place(t, mode)
      const handle = await open(file, 'r+')
      await handle.write(Buffer.alloc(4096, 0x41), 0, 4096, 4096 * 5)
      await handle.close()
      assert.equal((await (await openProbe(t, sqlite, { file }))()).kind, 'pass')
      const check = await openProbe(t, sqlite, { file, lock: false, integrity: 'quick' })
      assert.match(reasonOf(await check()), /^kb\.sqlite: is damaged: ./)
    })

    test('is damaged where its end is cut off', async (t) => {
      const { folder, file } = await place(t, mode)
      await truncate(file, 4096 * 7)
      const before = await contentsOf(folder)
      const check = await openProbe(t, sqlite, { file })
      assert.equal(reasonOf(await check()), 'kb.sqlite: is damaged: database disk image is malformed')
      assert.deepEqual(await contentsOf(folder), before)
    })

    test('is none where its header is overwritten', async (t) => {
      const { folder, file } = await place(t, mode)
      const handle = await open(file, 'r+')
      await handle.write(Buffer.alloc(16, 0x41), 0, 16, 0)
      await handle.close()
      const before = await contentsOf(folder)
      const check = await openProbe(t, sqlite, { file, integrity: 'quick' })
      assert.equal(reasonOf(await check()), 'kb.sqlite: is not a database')
      assert.deepEqual(await contentsOf(folder), before)
    })

    test('of another user is unknown, not failed', {
      skip: !isRoot && 'needs root to be another user',
    }, async (t) => {
      const { folder, file } = await place(t, mode)
      const real = createTarget(await temporaryFolder(t))
      const asNobody: ProbeTarget['run'] = (argv, options) =>
        real.run(['setpriv', '--reuid=65534', '--clear-groups', ...argv], options)
      const target = { ...real, run: asNobody }
      const check = await openProbe(t, sqlite, { file }, target)
      assert.equal(reasonOf(await check()), 'kb.sqlite: may not be read by this user: not checked')
      for (const path of [folder, dirname(folder)]) await chmod(path, 0o755)
      const readable = await check()
      // Nobody has the one in WAL mode open: that can be told without a lock.
      if (mode === 'wal') assert.equal(readable.kind, 'pass')
      else assert.match(reasonOf(readable), /may not be written by this user: not checked$/)
    })
  })
}

describe('whoever holds a lock', () => {
  test('in WAL mode for itself alone, without a -shm file, is named', async (t) => {
    const { file } = await place(t, 'wal')
    const holder = await startHolder(t, file, 'PRAGMA locking_mode = EXCLUSIVE', 'DELETE FROM notes')
    assert.equal(existsSync(`${file}-shm`), false)
    const check = await openProbe(t, sqlite, { file })
    assert.equal(
      reasonOf(await check()),
      `kb.sqlite: database locked by pid ${holder.pid} (node holds-database.mjs)`,
    )
    assert.equal(existsSync(`${file}-shm`), false)
  })

  test('is said to be its own where it belongs to the service', async (t) => {
    const { file } = await place(t, 'wal')
    const { pid } = await startHolder(t, file, 'BEGIN IMMEDIATE')
    const target = createTarget(await temporaryFolder(t), { pid: pid! })
    const check = await openProbe(t, sqlite, { file }, target)
    assert.equal(
      reasonOf(await check()),
      `kb.sqlite: database locked by its own pid ${pid} (node holds-database.mjs)`,
    )
  })

  for (const [mode, own] of [
    ['wal', ['BEGIN IMMEDIATE']],
    ['wal', ['PRAGMA locking_mode = EXCLUSIVE', 'DELETE FROM notes']],
    ['delete', ['BEGIN EXCLUSIVE']],
  ] as const) {
    test(`forbids no next start where it ends with the service (${mode}: ${own[0]})`, async (t) => {
      const { file } = await place(t, mode)
      const { pid } = await startHolder(t, file, ...own)
      const folder = await temporaryFolder(t)
      const check = await openProbe(t, sqlite, { file, lock: 'others' }, createTarget(folder, { pid: pid! }))
      assert.deepEqual(await check(), {
        kind: 'pass',
        note: `database locked by its own pid ${pid} (node holds-database.mjs)`,
      })
      const stranger = await openProbe(t, sqlite, { file, lock: 'others' }, createTarget(folder))
      assert.equal(
        reasonOf(await stranger()),
        `kb.sqlite: database locked by pid ${pid} (node holds-database.mjs)`,
      )
    })
  }
})

describe('what a killed writer leaves', () => {
  test('a journal is not rolled back, and noted', async (t) => {
    const { folder, file } = await place(t, 'delete')
    const holder = await startHolder(
      t,
      file,
      'PRAGMA cache_size = 2',
      'BEGIN',
      "UPDATE notes SET text = 'lost'",
    )
    const check = await openProbe(t, sqlite, { file })
    assert.equal(
      reasonOf(await check()),
      `kb.sqlite: database locked by pid ${holder.pid} (node holds-database.mjs)`,
    )
    await end(holder)
    const before = await contentsOf(folder)
    assert.match(before[1] ?? '', /^kb\.sqlite-journal /)
    const note = 'an interrupted write waits for the next program that opens it'
    assert.deepEqual(await check(), { kind: 'pass', note })
    const deeper = await openProbe(t, sqlite, { file, ...EVERYTHING })
    assert.equal(reasonOf(await deeper()), `kb.sqlite: ${note}: integrity and query not checked`)
    assert.deepEqual(await contentsOf(folder), before)
  })

  test('a WAL without its -shm is not written back, and noted', async (t) => {
    const { folder, file } = await place(t, 'wal')
    await end(await startHolder(t, file, 'DELETE FROM notes'))
    await rm(`${file}-shm`)
    const before = await contentsOf(folder)
    const note = 'was not closed by the program that wrote it last'
    const check = await openProbe(t, sqlite, { file })
    assert.deepEqual(await check(), { kind: 'pass', note })
    const deeper = await openProbe(t, sqlite, { file, ...EVERYTHING })
    assert.equal(reasonOf(await deeper()), `kb.sqlite: ${note}: integrity and query not checked`)
    assert.deepEqual(await contentsOf(folder), before)
  })
})

test('a check that is cut off cannot tell', async (t) => {
  const { file } = await place(t, 'wal')
  await startHolder(t, file, 'BEGIN IMMEDIATE')
  const check = await openProbe(t, sqlite, { file })
  assert.equal(reasonOf(await check(AbortSignal.timeout(400))), 'kb.sqlite: not looked at in time')
})

describe('a path', () => {
  test('that is no database is told in words, and nothing is created', async (t) => {
    const folder = await temporaryFolder(t)
    await writeFile(`${folder}/text`, 'not a database, but longer than the header of one. '.repeat(20))
    const cases: [string, string][] = [
      ['none', 'none: no such file'],
      ['text/none', 'none: no such file'],
      ['text', 'text: is not a database'],
      ['.', '.: is a folder, not a database'],
    ]
    for (const [name, reason] of cases) {
      const check = await openProbe(t, sqlite, { file: `${folder}/${name}` })
      assert.equal(reasonOf(await check()), reason)
    }
    const optional = await openProbe(t, sqlite, { file: `${folder}/none`, optional: true })
    assert.deepEqual(await optional(), { kind: 'pass', note: 'no database yet' })
    assert.deepEqual(await readdir(folder), ['text'])
  })

  test('with characters that mean something in an address, and a link, lead to the file', async (t) => {
    const { folder, file } = await place(t, 'wal')
    const odd = `${folder}/100% ?mode=rwc#1.sqlite`
    await copyFile(file, odd)
    const check = await openProbe(t, sqlite, { file: odd, ...EVERYTHING })
    assert.deepEqual(await check(), { kind: 'pass', note: null })
    assert.equal((await readdir(folder)).length, 2)
  })

  test('of an empty file is an empty database', async (t) => {
    const folder = await temporaryFolder(t)
    await writeFile(`${folder}/new.sqlite`, '')
    const check = await openProbe(t, sqlite, { file: `${folder}/new.sqlite`, integrity: 'quick' })
    assert.equal((await check()).kind, 'pass')
    const query = { sql: 'SELECT count(*) FROM notes', atLeast: 1 }
    const asking = await openProbe(t, sqlite, { file: `${folder}/new.sqlite`, query })
    assert.equal(reasonOf(await asking()), 'new.sqlite: query: no such table: notes')
  })
})

test('a full disk is told before anything else', {
  skip: !isRoot && 'needs root to mount one',
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'paios-probe-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', folder])
  t.after(async () => {
    execFileSync('umount', [folder])
    await rmdir(folder)
  })
  createDatabase(`${folder}/kb.sqlite`, 'delete')
  const check = await openProbe(t, sqlite, { file: `${folder}/kb.sqlite` }, createTarget(tmpdir()))
  assert.equal((await check()).kind, 'pass')
  await writeFile(`${folder}/rest`, Buffer.alloc(512 * 1024)).catch(() => undefined)
  assert.equal(reasonOf(await check()), 'kb.sqlite: the disk is full')
})

test('a WAL beyond its limit fails, and names who reads an old state of it', async (t) => {
  const { file } = await place(t, 'wal')
  const writer = await startHolder(t, file, 'DELETE FROM notes WHERE id > 100')
  const reader = await startHolder(t, file, 'SELECT * FROM notes')
  const check = await openProbe(t, sqlite, { file, wal: '8KiB' })
  const reason = new RegExp(
    `^kb\\.sqlite: its WAL has \\d+ KiB, allowed 8\\.0 KiB, read by pid ${reader.pid} \\(node holds-database\\.mjs\\)$`,
  )
  assert.match(reasonOf(await check()), reason)
  await end(reader)
  assert.match(reasonOf(await check()), /allowed 8\.0 KiB$/)
  await end(writer)
})

describe('a query', () => {
  const ask = async (t: TestContext, query: Written<typeof sqlite>['query']) => {
    const { file } = await place(t, 'delete')
    return (await openProbe(t, sqlite, { file, lock: false, ...(query ? { query } : {}) }))()
  }

  test('compares the first value of the first row', async (t) => {
    const sql = 'SELECT count(*), 1 FROM notes;'
    assert.equal((await ask(t, { sql, atLeast: 200 })).kind, 'pass')
    const few = await ask(t, { sql, atLeast: 201 })
    assert.equal(reasonOf(few), 'kb.sqlite: the query found 200, expected at least 201')
    assert.equal((await ask(t, { sql: 'PRAGMA journal_mode', equals: 'delete' })).kind, 'pass')
    const other = await ask(t, { sql: "SELECT 'stale'", matches: '^fresh' })
    assert.equal(reasonOf(other), 'kb.sqlite: the query found stale, expected ^fresh')
    const none = await ask(t, { sql: 'SELECT id FROM notes WHERE id < 0', equals: 1 })
    assert.equal(reasonOf(none), 'kb.sqlite: the query found no row')
  })

  test('that would write is refused in the document or by the connection', async (t) => {
    const settings = settingsOf(sqlite)
    const writing = [
      'DELETE FROM notes',
      'SELECT 1; DELETE FROM notes',
      'PRAGMA journal_mode = WAL',
      'PRAGMA user_version(5)',
      'PRAGMA wal_checkpoint',
      'VACUUM',
    ]
    for (const sql of writing)
      assert.equal(settings.safeParse({ file: 'a', query: { sql, equals: 1 } }).success, false, sql)
    const result = await ask(t, { sql: 'WITH a AS (SELECT 1) DELETE FROM notes', equals: 1 })
    assert.equal(result.kind, 'unknown')
  })
})
