import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Finding } from '../../supervisor/core/alert.ts'
import { openFaultWatch } from '../../supervisor/shell/fault-watch.ts'

const finding = (rule: string): Finding => ({
  ...{ rule, labels: { service: 'kb' }, subject: { kind: 'service', name: 'kb' } },
  ...{ severity: 'critical', summary: rule, held: [] },
})
const hung = finding('ServiceHung')
const crashed = finding('ServiceCrashed')

/** A watch whose repairs are found, or not, when the test says so. */
function open() {
  const told: string[][] = []
  const considered: string[] = []
  const known: (() => void)[] = []
  const watch = openFaultWatch({
    isInTrouble: () => true,
    consider: (_, rule) => {
      considered.push(rule)
      return new Promise<void>((resolve) => known.push(resolve))
    },
    tell: (findings) => void told.push(findings.map(({ rule }) => rule)),
    over: () => undefined,
  })
  const decide = async () => {
    for (const one of known.splice(0)) one()
    await turn()
  }
  return { watch, told, considered, decide }
}

describe('findings that may be repaired', () => {
  it('are told once it is known whether they are', async () => {
    const { watch, told, considered, decide } = open()
    watch.found([hung], 0)
    assert.deepEqual([considered, told], [['ServiceHung'], []])
    await decide()
    assert.deepEqual(told, [['ServiceHung']])
    watch.found([hung], 5_000)
    assert.deepEqual(told, [['ServiceHung'], ['ServiceHung']])
  })

  it('are told though they were over before that was known, and then that they are over', async () => {
    const { watch, told, decide } = open()
    watch.found([hung], 0)
    watch.found([hung, crashed], 100)
    watch.found([crashed], 200)
    await decide()
    assert.deepEqual(told, [['ServiceCrashed', 'ServiceHung'], ['ServiceCrashed']])
    watch.found([], 300)
    assert.deepEqual(told.at(-1), [])
  })

  it('are not told by a watch that is closed', async () => {
    const { watch, told, decide } = open()
    watch.found([hung], 0)
    watch.close()
    await decide()
    assert.deepEqual(told, [])
  })
})
