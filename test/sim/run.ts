/**
 * `npm run sim -- --seed N` tells one seed's story, with `--only 3,17` only these of its faults; `-- --from N --seeds COUNT` runs many, says which
 * failed, and leaves out of each failure the faults that it does not need.
 */
import { parseArgs } from 'node:util'
import { runSeed, shrink } from './simulator.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1000' },
    days: { type: 'string', default: '1' },
    faults: { type: 'string', default: '100' },
    tail: { type: 'string', default: '40' },
    only: { type: 'string' },
  },
})

function number(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0)
    throw new Error(`--${name}: expected a whole number, got ${text}`)
  return value
}

const days = number('days', values.days)
const faultsPerDay = number('faults', values.faults)

function tellOne(seed: number): void {
  const only =
    values.only === undefined ? {} : { only: new Set(values.only.split(',').filter(Boolean).map(Number)) }
  const { story, violation, events, lives } = runSeed(seed, { days, faultsPerDay, tellsAll: true, ...only })
  for (const line of story) console.log(line)
  console.log(
    `seed ${seed}: ${violation ?? 'every promise was kept'} (${events} facts, ${lives} supervisors)`,
  )
  if (violation) process.exitCode = 1
}

function runMany(from: number, count: number): void {
  const began = performance.now()
  let events = 0
  const failed: number[] = []
  for (let seed = from; seed < from + count; seed++) {
    const outcome = runSeed(seed, { days, faultsPerDay })
    events += outcome.events
    if (!outcome.violation) continue
    failed.push(seed)
    const small = shrink(seed, { days, faultsPerDay })
    console.log((small?.outcome ?? outcome).story.slice(-number('tail', values.tail)).join('\n'))
    const replay = `npm run sim -- --seed ${seed} --days ${days} --faults ${faultsPerDay}`
    console.log(`seed ${seed} failed: ${outcome.violation}\nreplay: ${replay}`)
    if (small)
      console.log(
        `${small.only.length} of its ${outcome.faults} faults will do: ${replay} --only ${small.only.join()}\n`,
      )
  }
  const seconds = (performance.now() - began) / 1000
  const rate = `${(count / seconds).toFixed(1)} seeds/s, ${Math.round(events / seconds)} facts/s`
  const verdict =
    failed.length === 0 ? 'no failures' : `${failed.length} failed: ${failed.slice(0, 20).join(', ')}`
  console.log(
    `${count} seeds of ${days} days from ${from}: ${verdict}; ${events} facts in ${seconds.toFixed(1)} s (${rate})`,
  )
  if (failed.length > 0) process.exitCode = 1
}

if (values.seed !== undefined) tellOne(number('seed', values.seed))
else runMany(number('from', values.from), number('seeds', values.seeds))
