/**
 * `npm run mutants` runs every mutant of the core until the simulator catches it; `-- --only SLUG` one of them. Exits
 * with 1 if one survives all of its seeds.
 */
import { parseArgs } from 'node:util'
import { hunt, mutants } from './mutants.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '5000' },
    days: { type: 'string', default: '1' },
    faults: { type: 'string', default: '100' },
  },
})
const seeds = Number(values.seeds)
const options = { days: Number(values.days), faultsPerDay: Number(values.faults) }
const chosen = mutants.filter(({ slug }) => values.only === undefined || slug === values.only)
if (chosen.length === 0 || !(seeds >= 1 && options.days >= 1 && options.faultsPerDay >= 1))
  throw new Error(`nothing to run: --only is one of ${mutants.map(({ slug }) => slug).join(', ')}`)

const began = performance.now()
const survivors: string[] = []
for (const mutant of chosen) {
  const start = performance.now()
  const caught = await hunt(mutant, seeds, options)
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  const verdict = caught ? `seed ${caught.seed}: ${caught.violation?.split('\n')[0]}` : 'SURVIVED'
  console.log(`${mutant.slug}: ${mutant.bug}\n  ${seconds} s, ${verdict}`)
  if (caught === null) survivors.push(mutant.slug)
}
const seconds = ((performance.now() - began) / 1000).toFixed(1)
const verdict = survivors.length === 0 ? 'every one caught' : `survived: ${survivors.join(', ')}`
console.log(`${chosen.length} mutants in ${seconds} s: ${verdict}`)
if (survivors.length > 0) process.exitCode = 1
