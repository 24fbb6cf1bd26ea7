/**
 * `npm run faults [-- --only GROUP,GROUP]`: makes every fault of the table, and docs/fault-matrix.md from what was
 * measured. Exit code 1 if a fault was not detected or not over again. With `--only` nothing is written.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Group, Outcome } from './fault.ts'
import { lineOf, matrix } from './report.ts'
import { lanes } from './table.ts'

const DOCUMENT = join(import.meta.dirname, '../../docs/fault-matrix.md')
const { values } = parseArgs({ options: { only: { type: 'string' }, row: { type: 'string' } } })
const print = (line: string) => void process.stdout.write(`${line}\n`)
const only = values.only?.split(',')
const known = lanes.flat().map(({ id }) => id)
for (const id of only ?? []) if (!known.includes(id)) throw new Error(`no group ${id}: ${known.join(', ')}`)

const begun = performance.now()
// The rows at work are finished, so that their meshes end with all that runs in them.
let isCut = false
const cut = () => {
  isCut = true
}
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, cut)
const skipped: Group[] = []
const outcomes = new Map<string, Outcome[]>()

async function runLane(groups: readonly Group[]): Promise<void> {
  for (const group of groups.filter(({ id }) => only === undefined || only.includes(id))) {
    const ran = await group.run({
      chosen: ({ name }) => !isCut && (values.row === undefined || name.includes(values.row)),
      tell: (outcome) => print(lineOf(outcome)),
    })
    if (ran === null) skipped.push(group)
    else outcomes.set(group.id, ran)
  }
}

await Promise.all(lanes.map(runLane))
const failed = [...outcomes.values()].flat().filter((outcome) => outcome.failed !== null)
const count = [...outcomes.values()].flat().length
const minutes = (performance.now() - begun) / 60_000
for (const { id, faults } of skipped)
  print(`SKIPPED ${faults.length} faults of ${id}: its program is not to be had here`)
if (isCut) print('CUT SHORT by a signal')
if (count === 0) print('NOT RUN: no fault was chosen')
print(`${count} faults, ${failed.length} not as they must be, ${minutes.toFixed(1)} min`)
const isWhole = !isCut && values.only === undefined && values.row === undefined && skipped.length === 0
if (isWhole && failed.length === 0) {
  writeFileSync(DOCUMENT, matrix(lanes.flat(), outcomes))
  print(`written: ${DOCUMENT}`)
}
const isLacking = skipped.length > 0 && process.env['CI'] !== undefined
process.exitCode = failed.length > 0 || isLacking || isCut || count === 0 ? 1 : 0
