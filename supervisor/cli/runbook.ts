/** `paios runbook`. */
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Status } from '../../schemas/status.ts'
import type { RunbookFile } from '../document/runbook.ts'
import type { RunbookAge } from '../document/runbook-age.ts'
import { nearest, PaiosError } from '../errors.ts'
import type { RehearsedStep } from '../shell/repair-rehearsal.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { paint, plain } from './render.ts'
import { exitOf, printRun, type RunReport } from './run-report.ts'

type Verb = (operands: readonly string[], invocation: Invocation) => Promise<number>

const verbs: Readonly<Record<string, Verb>> = { list, show, run }
/** Who asks, for the record. */
export const whoAmI = (): string => `${userInfo().username} at a terminal`

/** Reads runbooks, and runs their steps. */
export const command: Command = {
  usage: 'runbook list | runbook [show] NAME | runbook run NAME [--service NAME] [--step ID] [--dry-run]',
  about:
    'What to do about a fault. NAME is a service, a preset or an alert rule. `list` and `show` need no supervisor.\n' +
    '`run` has the supervisor take the steps now: what is safe at once, the rest after `paios approve`. --dry-run\n' +
    'says what each step would do and changes nothing. Exits 1 unless the fault is repaired or there was nothing\n' +
    'to do, also while an approval is waited for.',
  flags: {
    service: { value: 'NAME', help: 'with run of a runbook: the service that it is for' },
    step: { value: 'ID', help: 'with run: only this step' },
    'dry-run': { value: null, help: 'with run: say what would be done' },
  },
  operands: { min: 1, max: 2 },
  examples: [
    ['paios runbook gateway', 'what to do about the gateway'],
    ['paios runbook run gateway --dry-run', 'which steps would be taken now, and why not the others'],
    ['paios runbook run gateway', 'take them'],
    ['paios runbook list --json', 'all of them, with their steps'],
  ],
  run: async (invocation) => {
    const [word = '', ...operands] = invocation.operands
    const isRun = word === 'run'
    for (const flag of ['service', 'step', 'dry-run'])
      if (!isRun && invocation.has(flag))
        throw new PaiosError('usage', `--${flag} belongs to paios runbook run`)
    if (Object.hasOwn(verbs, word)) return verbs[word]!(operands, invocation)
    if (operands.length > 0)
      throw new PaiosError('usage', `'${operands[0]}' is one word too many: paios ${command.usage}`)
    return show([word], invocation)
  },
}

async function list([extra]: readonly string[], invocation: Invocation): Promise<number> {
  if (extra !== undefined)
    throw new PaiosError('usage', `'${extra}' is one word too many: paios runbook list`)
  const { readRunbooks } = await import('../document/runbook.ts')
  const { readLastRuns } = await import('../shell/report.ts')
  const { ageOf } = await import('../document/runbook-age.ts')
  const at = { wall: Date.now(), lastRuns: readLastRuns(join(invocation.home, 'state', 'journal.db')) }
  const files = readRunbooks(invocation.home).map((file) => ({
    ...file,
    age: file.runbook === null ? null : ageOf(file.runbook, at),
  }))
  if (invocation.json)
    invocation.out(
      `${JSON.stringify(files.map(({ age, ...file }) => ({ ...summary(file), ...ageShown(age) })))}\n`,
    )
  else {
    const rows = files.map((file) => ({ name: nameOf(file), text: lineOf(file, invocation) }))
    const width = Math.max(...rows.map(({ name }) => name.length))
    for (const { name, text } of rows) invocation.out(`${name.padEnd(width)}  ${text}\n`)
  }
  return files.some(({ problems }) => problems.length > 0) ? 3 : 0
}

const nameOf = ({ path }: RunbookFile) => path.slice(path.lastIndexOf('/') + 1, -3)

function summary({ path, own, runbook, problems, ...file }: RunbookFile) {
  const {
    id = nameOf({ path, own, runbook, problems, ...file }),
    title,
    version,
    preset,
    alerts,
    reviewed,
    steps,
  } = runbook ?? {}
  const shown = (steps ?? []).map((step) => ({ id: step.id, class: step.class, action: step.action }))
  return { id, path, own, title, version, preset, alerts, reviewed, steps: shown, problems }
}

const ageShown = (age: RunbookAge | null) => ({
  drilled: age?.drilled ?? null,
  reviewDue: age?.isDue ?? false,
})

function lineOf(
  { own, runbook, problems, age }: RunbookFile & { age: RunbookAge | null },
  layout: Invocation,
): string {
  const [problem] = problems
  if (runbook === null) return paint(`! line ${problem?.line}: ${problem?.message}`, 'red', layout)
  const counts = (['safe', 'ask', 'never'] as const).flatMap((of) => {
    const count = runbook.steps.filter((step) => step.class === of).length
    return count === 0 ? [] : [`${count} ${of}`]
  })
  const steps = counts.length === 0 ? '' : `  [${counts.join(', ')}]`
  const drilled = age?.drilled == null ? '  never drilled' : `  drilled ${age.drilled}`
  const due = age?.isDue ? paint(`  ! last reviewed ${age.reviewDays} days ago`, 'yellow', layout) : ''
  return `${runbook.title}${steps}${drilled}${own ? '  (your own)' : ''}${due}`
}

async function show([name]: readonly string[], invocation: Invocation): Promise<number> {
  if (name === undefined) throw new PaiosError('usage', 'something is missing: paios runbook show NAME')
  const reader = await import('../document/runbook.ts')
  const path = await pathOf(name, invocation)
  if (path === null) {
    const hint = nearest(name, reader.runbookNames(invocation.home))
    const way = hint === null ? 'paios runbook list shows them' : `did you mean ${hint}?`
    throw new PaiosError('unknown-runbook', `there is no service or runbook '${name}' (${way})`)
  }
  const file = reader.readRunbook(path, path.startsWith(invocation.home))
  if (invocation.json) invocation.out(`${JSON.stringify({ ...summary(file), body: file.body })}\n`)
  else {
    invocation.out(`${path}\n\n${plainLines(file.body)}`)
    for (const { line, message } of file.problems) invocation.err(`paios: ${path}:${line} ${message}\n`)
  }
  return file.problems.length > 0 ? 3 : 0
}

const plainLines = (text: string) => `${text.trimEnd().split('\n').map(plain).join('\n')}\n`

/** A service's runbook by the supervisor, or by the document; else the file of that name. */
async function pathOf(name: string, { home }: Invocation): Promise<string | null> {
  const { findRunbook } = await import('../document/runbook.ts')
  // No service has such a name, and it must be found when nothing answers.
  if (/^[A-Z]/.test(name)) return findRunbook(home, name)
  const { homeAt, runbookPath } = await import('../shell/home.ts')
  const status = await call<Status>(home, 'GET', '/status').catch((error: unknown) => {
    if (error instanceof PaiosError && error.code === 'no-supervisor') return null
    throw error
  })
  const running = status?.services.find((service) => service.name === name)
  if (running !== undefined) return running.runbook
  if (status === null) {
    const { checkDocument, documentPath } = await import('./document.ts')
    const result = await checkDocument(documentPath(home)).catch((error: unknown) => {
      if (error instanceof PaiosError) return null
      throw error
    })
    const spec = result?.ok ? result.mesh.specs.find((one) => one.name === name) : undefined
    if (spec !== undefined) return runbookPath(homeAt(home), name, spec.runbook)
  }
  return findRunbook(home, name)
}

type Rehearsal = {
  readonly service: string
  readonly runbook: string
  readonly steps: readonly RehearsedStep[]
}

async function run([name]: readonly string[], invocation: Invocation): Promise<number> {
  if (name === undefined) throw new PaiosError('usage', 'something is missing: paios runbook run NAME')
  const body = { name, service: invocation.text('service'), step: invocation.text('step'), by: whoAmI() }
  if (!invocation.has('dry-run')) {
    const report = await call<RunReport>(invocation.home, 'POST', '/runbook/run', body)
    printRun(report, invocation)
    return exitOf(report)
  }
  const found = await call<Rehearsal>(invocation.home, 'POST', '/runbook/rehearse', body)
  if (invocation.json) invocation.out(`${JSON.stringify(found)}\n`)
  else {
    invocation.out(`${found.runbook} for ${found.service}; nothing is changed\n`)
    for (const step of found.steps) {
      const text = step.text === '' ? '' : `: ${plain(step.text)}`
      invocation.out(`  ${step.id}  ${step.action} (${step.class})  ${step.would}${text}\n`)
      for (const line of step.shown) invocation.out(`      ${plain(line)}\n`)
    }
  }
  return 0
}
