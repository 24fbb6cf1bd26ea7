import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openRunbookChoice } from '../../supervisor/runbook-choice.ts'
import { openProbePrograms } from '../../supervisor/shell/probe-programs.ts'
import { openProcessTable } from '../../supervisor/shell/process-table.ts'
import { temporaryFolder } from '../probes/target.ts'
import { runbookText } from '../runbook-text.ts'

/** A choice over a home; `most` counts how many processes were at work at once, `begun` how many there were. */
async function opened(t: TestContext) {
  const home = await temporaryFolder(t)
  const programs = openProbePrograms(openProcessTable(), 'choice')
  const counts = { begun: 0, now: 0, most: 0 }
  const run: typeof programs.run = async (argv, options) => {
    counts.begun += 1
    counts.now += 1
    counts.most = Math.max(counts.most, counts.now)
    return programs.run(argv, options).finally(() => {
      counts.now -= 1
    })
  }
  const write = (id: string, rule: string) => {
    mkdirSync(join(home, 'runbooks'), { recursive: true })
    const step = '{ id: a, action: diagnostics.collect }'
    const front = `alerts: [${rule}]\nsteps: [${step}]\n`
    writeFileSync(join(home, 'runbooks', `${id}.md`), runbookText(id, front))
  }
  return { home, counts, write, choice: openRunbookChoice({ run }, home) }
}

const crash = (service: string) => ({ service, preset: 'process', rule: 'ServiceCrashed' })

describe('the choice of a runbook', () => {
  it('starts one process for a thousand services that fail at once, and none when they fail again', async (t) => {
    const { counts, choice } = await opened(t)
    const all = () => Promise.all(Array.from({ length: 1_000 }, (_, n) => choice.forFault(crash(`s${n}`))))
    assert.ok((await all()).every((runbook) => runbook === null))
    // Two hundred to a question: the first asks, the others find the answer.
    assert.deepEqual(counts, { begun: 1, now: 0, most: 1 })
    await all()
    assert.equal(counts.begun, 1)
  })

  it('asks of each service where the operator has runbooks, still with one process at a time', async (t) => {
    const { counts, write, choice } = await opened(t)
    write('s7', 'ServiceCrashed')
    const all = await Promise.all(Array.from({ length: 500 }, (_, n) => choice.forFault(crash(`s${n}`))))
    assert.deepEqual(
      all.map((runbook) => runbook?.id).filter((id) => id !== undefined),
      ['s7'],
    )
    assert.equal(counts.most, 1)
  })

  it('reads again once a runbook has changed, come or gone', async (t) => {
    const { home, write, choice } = await opened(t)
    assert.equal(await choice.forFault(crash('kb')), null)
    write('kb', 'ServiceCrashed')
    assert.equal((await choice.forFault(crash('kb')))?.id, 'kb')
    write('kb', 'ServiceDown')
    assert.equal(await choice.forFault(crash('kb')), null)
    write('kb', 'ServiceCrashed')
    rmSync(join(home, 'runbooks', 'kb.md'))
    assert.equal(await choice.forFault(crash('kb')), null)
  })

  it('gives a named runbook, or says what is wrong with it or what else was meant', async (t) => {
    const { home, write, choice } = await opened(t)
    write('mine', 'ServiceCrashed')
    assert.equal((await choice.named('mine')).id, 'mine')
    await assert.rejects(choice.named('openclaw-gatway'), {
      code: 'unknown-runbook',
      message: /did you mean openclaw-gateway/,
    })
    writeFileSync(join(home, 'runbooks', 'mine.md'), 'nothing\n')
    await assert.rejects(choice.named('mine'), /begins with no front matter/)
  })

  it('rejects each question that could not be answered, and goes on with the next', async (t) => {
    const home = await temporaryFolder(t)
    const programs = openProbePrograms(openProcessTable(), 'choice')
    let isBroken = true
    const choice = openRunbookChoice(
      {
        run: (argv, options) =>
          programs.run(isBroken ? [process.execPath, '-e', 'throw new Error("broken")'] : argv, options),
      },
      home,
    )
    const both = await Promise.allSettled([choice.forFault(crash('a')), choice.forFault(crash('b'))])
    assert.deepEqual(
      both.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    isBroken = false
    assert.equal(await choice.forFault(crash('a')), null)
  })
})
