/** `paios runbook list` by the real command line. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { NO_REPAIRS } from '../../supervisor/core/recovery-state.ts'
import { SECTIONS } from '../../supervisor/document/runbook.ts'
import { openJournal } from '../../supervisor/shell/journal.ts'
import { Bench, runbookOf } from '../core/repair-bench.ts'

const ENTRY = join(import.meta.dirname, '../../bin/paios.mjs')
const DAY_MS = 86_400_000
const dayAgo = (days: number) => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10)

function makeHome(t: TestContext, files: Readonly<Record<string, string>>): string {
  const home = mkdtempSync('/tmp/rl-')
  t.after(() => rmSync(home, { recursive: true }))
  mkdirSync(join(home, 'runbooks'))
  for (const [id, front] of Object.entries(files)) {
    const body = SECTIONS.map((section) => `## ${section}\n\ntext\n`).join('\n')
    writeFileSync(
      join(home, 'runbooks', `${id}.md`),
      `---\nid: ${id}\ntitle: A test\nversion: 1\n${front}\n---\n${body}`,
    )
  }
  return home
}

async function list(home: string, ...more: string[]): Promise<string> {
  const env = { PATH: process.env['PATH'], HOME: home, PAIOS_HOME: home }
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [ENTRY, 'runbook', 'list', '--no-color', ...more],
    { env },
  )
  return stdout
}

describe('paios runbook list', () => {
  it('says when each was drilled, and warns of those that nobody reviewed for 180 days', async (t) => {
    const home = makeHome(t, {
      fresh: `reviewed: ${dayAgo(3)}\ndrilled: ${dayAgo(2)}`,
      old: `reviewed: ${dayAgo(200)}`,
    })
    const text = await list(home)
    assert.match(text, new RegExp(`^fresh +A test  drilled ${dayAgo(2)}  \\(your own\\)$`, 'm'))
    assert.match(text, /^old +A test {2}never drilled {2}\(your own\) {2}! last reviewed 200 days ago$/m)
    const json = JSON.parse(await list(home, '--json')) as {
      id: string
      drilled: string | null
      reviewDue: boolean
    }[]
    const shown = json.filter(({ id }) => id === 'fresh' || id === 'old')
    assert.deepEqual(
      shown.map(({ drilled, reviewDue }) => [drilled, reviewDue]),
      [
        [dayAgo(2), false],
        [null, true],
      ],
    )
  })

  it('counts a run that repaired something as a drill', async (t) => {
    const home = makeHome(t, { kb: `reviewed: ${dayAgo(3)}\ndrilled: ${dayAgo(20)}` })
    mkdirSync(join(home, 'state'))
    const journal = openJournal(join(home, 'state', 'journal.db'), join(home, 'spool'), (text) => text)
    const bench = new Bench()
    bench.consider(runbookOf(['{ id: collect, action: diagnostics.collect }']))
    const run = { ...bench.run, startedWall: Date.now() - DAY_MS }
    const outcome = { result: 'succeeded' as const, text: '', facts: {} }
    assert.ok(
      journal.keepRepairs(NO_REPAIRS, [{ run: { ...run, runbook: { ...run.runbook, id: 'kb' } }, outcome }]),
    )
    journal.close()
    assert.match(await list(home), new RegExp(`^kb +A test  drilled ${dayAgo(1)} `, 'm'))
  })
})
