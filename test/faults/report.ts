/** The fault matrix as text. */
import { RULES } from '../../supervisor/core/alert-rules.ts'
import type { Group, Outcome } from './fault.ts'
import { figuresTable, secondsText } from './figures.ts'
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
export function lineOf({ group, fault, detectMs, told, recoverMs, failed }: Outcome): string {
  const what = `${group}: ${fault.name}`
  if (failed !== null) return `FAILED ${what}: ${failed}`
  const heard = told === null ? 'nobody told' : `told after ${Math.round(told.ms)} ms (${told.how})`
  const [seen, well] = [detectMs, recoverMs].map((ms) => `${Math.round(ms ?? 0)} ms`)
  return `ok     ${what}: seen after ${seen}, ${heard}, well after ${well}`
}

const cell = (text: string) => text.replaceAll('|', '\\|')
/** Two backticks where the text has one of its own. */
const code = (text: string) => (text.includes('`') ? `\`\` ${cell(text)} \`\`` : `\`${cell(text)}\``)

function rowOf({ fault, detectMs, told, recoverMs }: Outcome): string {
  const { name, program, made, sign, person } = fault
  const cells = [name, program, made].map(cell)
  const who = person === null ? 'nothing' : cell(person)
  const seen = [code(signText(sign)), rounded(detectMs), heardText(fault.heard, told)]
  return `| ${[...cells, ...seen, who, rounded(recoverMs)].join(' | ')} |`
}

const HOW = { sound: 'with a sound', silent: 'silently', edit: 'as an edit' }

/** `1.1 s, with a sound (ServiceBlocked, critical)`; why nobody is. */
function heardText(heard: Outcome['fault']['heard'], told: Outcome['told']): string {
  if ('nobody' in heard) return `nobody: ${cell(heard.nobody)}`
  const { severity } = RULES[heard.rule]!
  const rule = `(${heard.rule}, ${severity})`
  if (severity === 'info') return `in the message of the hour ${rule}`
  return told === null ? '' : `${secondsText(told.ms)}, ${HOW[told.how]} ${rule}`
}

const INTRODUCTION = `# Fault matrix

Made by \`npm run faults\` from the table in \`test/faults/\`; do not edit. Each fault is made on a real mesh with the real program, and the run fails if its sign does not come, if it is not over afterwards, if any service that it does not concern got another process, or if who must be told is not, or hears a sound without need. The quickest twelve are part of \`npm test\`.

- **Sign**: what must be seen, as a regular expression: the state word and reason, note or warning of \`paios status --json\`; an event of \`paios events\`; a standing warning of the mesh; or the exit code and words of the command.
- **Seen after**: from the fault to its sign. **Well after**: from the fault until all is well; where a person must act, from that act, which the script does. Both are upper bounds in steps (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30 s, …), measured once on two busy cores (Linux, x64), groups side by side; nothing was tried on macOS.
- **Told after**: from the fault to the first message or edit that says so in the chat of a Telegram server of the mesh's own, and the alert rule that tells. Critical: at once, with a sound; a warning: after 10 s, silently; info: a line in the message of the hour ([alerts](alerts.md)). Silent is also what a runbook repairs at that moment; an edit is what concerns an incident that was told already. A fault that is over or answered before that says why nobody is told; it fails if there is a sound.
- Periods of probes decide most of the times: where a row names a short one, the preset's own is longer.
`

/** The whole document; groups in the order of the table. */
export function matrix(groups: readonly Group[], outcomes: ReadonlyMap<string, readonly Outcome[]>): string {
  const tables = groups.map(({ id, title }) => {
    const rows = (outcomes.get(id) ?? []).map(rowOf)
    const head =
      '| Fault | On | How it is made | Sign | Seen after | Told after | What a person must do | Well after |'
    return [`## ${title}`, '', head, '|---|---|---|---|---|---|---|---|', ...rows, ''].join('\n')
  })
  const all = [...outcomes.values()].flat()
  const silent = all.filter(({ fault }) => 'nobody' in fault.heard).length
  const count = `${all.length} faults, of which ${silent} need nobody to be told.`
  const figures = ['## How fast somebody is told', '', figuresTable(all), '']
  return [INTRODUCTION, `${count}\n`, ...figures, ...tables].join('\n')
}
