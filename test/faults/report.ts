/** The fault matrix as text. */
import type { Group, Outcome } from './fault.ts'
import { signText } from './runner.ts'

/** Times are told by the next of these, so that another run changes little; in ms. */
const STEPS: readonly (readonly [number, string])[] = [
  [100, '0.1 s'],
  [250, '0.25 s'],
  [500, '0.5 s'],
  [1_000, '1 s'],
  [2_000, '2 s'],
  [5_000, '5 s'],
  [10_000, '10 s'],
  [20_000, '20 s'],
  [30_000, '30 s'],
  [60_000, '1 min'],
  [120_000, '2 min'],
  [180_000, '3 min'],
  [300_000, '5 min'],
]

const rounded = (ms: number | null) =>
  ms === null ? '' : (STEPS.find(([limit]) => ms <= limit)?.[1] ?? 'more than 5 min')

/** One outcome as a line for a terminal. */
export function lineOf({ group, fault, detectMs, recoverMs, failed }: Outcome): string {
  const what = `${group}: ${fault.name}`
  if (failed !== null) return `FAILED ${what}: ${failed}`
  return `ok     ${what}: seen after ${Math.round(detectMs ?? 0)} ms, well after ${Math.round(recoverMs ?? 0)} ms`
}

const cell = (text: string) => text.replaceAll('|', '\\|')
/** Two backticks where the text has one of its own. */
const code = (text: string) => (text.includes('`') ? `\`\` ${cell(text)} \`\`` : `\`${cell(text)}\``)

function rowOf({ fault: { name, program, made, sign, person }, detectMs, recoverMs }: Outcome): string {
  const cells = [name, program, made].map(cell)
  const who = person === null ? 'nothing' : cell(person)
  return `| ${[...cells, code(signText(sign)), rounded(detectMs), who, rounded(recoverMs)].join(' | ')} |`
}

const INTRODUCTION = `# Fault matrix

Made by \`npm run faults\` from the table in \`test/faults/\`; do not edit. Each fault is made on a real mesh with the real program, and the run fails if its sign does not come, if it is not over afterwards, or if any service that it does not concern got another process. The quickest twelve are part of \`npm test\`.

- **Sign**: what must be seen, as a regular expression: the state word and reason, note or warning of \`paios status --json\`; an event of \`paios events\`; a standing warning of the mesh; or the exit code and words of the command.
- **Seen after**: from the fault to its sign. **Well after**: from the fault until all is well; where a person must act, from that act, which the script does. Both are upper bounds in steps (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30 s, …), measured once on two busy cores (Linux, x64), groups side by side; nothing was tried on macOS.
- Periods of probes decide most of the times: where a row names a short one, the preset's own is longer.
`

/** The whole document; groups in the order of the table. */
export function matrix(groups: readonly Group[], outcomes: ReadonlyMap<string, readonly Outcome[]>): string {
  const tables = groups.map(({ id, title }) => {
    const rows = (outcomes.get(id) ?? []).map(rowOf)
    const head = '| Fault | On | How it is made | Sign | Seen after | What a person must do | Well after |'
    return [`## ${title}`, '', head, '|---|---|---|---|---|---|---|', ...rows, ''].join('\n')
  })
  const count = [...outcomes.values()].flat().length
  return [INTRODUCTION, `${count} faults.\n`, ...tables].join('\n')
}
