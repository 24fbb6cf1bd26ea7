/** `npm run chaos -- --kills N [--seed S] [--services 50]`: exit code 1 if a promise was broken. */
import { parseArgs } from 'node:util'
import { chaos } from './chaos.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    services: { type: 'string', default: '50' },
  },
})
const print = (line: string) => void process.stdout.write(`${line}\n`)
const begun = performance.now()
const { again, adoptedMs, answersMs, adopted, upset, kills, violations, events } = await chaos({
  kills: Number(values.kills),
  seed: Number(values.seed),
  services: Number(values.services),
  tell: print,
})
const at = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
const spread = (sorted: readonly number[]) =>
  `median ${at(sorted, 0.5)} ms, p99 ${at(sorted, 0.99)} ms, max ${at(sorted, 1)} ms`
for (const violation of violations) print(`VIOLATION ${violation}`)
print(
  `kills ${kills}, ${again} followed by another, adopted ${adopted}, upset ${upset}, violations ${violations.length}`,
)
print(`kill to all adopted: ${spread(adoptedMs)}`)
print(`kill to an answer on the socket: ${spread(answersMs)}`)
print(
  `events: ${Object.entries(events)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ')}`,
)
print(`took ${Math.round((performance.now() - begun) / 1000)} s`)
process.exitCode = violations.length > 0 ? 1 : 0
