/**
 * `paios status`: the screen that an operator looks at first. Its start-up time is measured: keep it light.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { JournalEvent, Status } from '../../schemas/status.ts'
import { PaiosError, unknownService } from '../errors.ts'
import { accepted, call, follow, request } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { ownVersion, versionGap } from './own-version.ts'
import { pause } from './pause.ts'
import { isDown, type Layout, renderEvent, renderService, renderStatus } from './render.ts'

const WATCH_EVERY_MS = 1_000
const EVENTS_SHOWN = 8
/** A supervisor that says nothing for so long is told of; it is waited for all the same. */
const SILENT_MS = 5_000

/** Shows the whole mesh, or one service or group. */
export const command: Command = {
  usage: 'status [NAME] [--watch] [--json]',
  about:
    'Shows every service, worst first, with why it is not well and what to type next; with NAME one service in\n' +
    'full, or the services of a group. Exits 0 if all is well, 1 if a wanted service is down, 4 without a supervisor.',
  flags: { watch: { short: 'w', value: null, help: 'show it again every second until Ctrl-C' } },
  operands: { min: 0, max: 1 },
  examples: [
    ['paios status', 'the whole mesh'],
    ['paios status gateway', 'one service: its probes, log, runbook and last events'],
    ['paios status --json | jq \'.services[] | select(.state == "failed").name\'', 'for scripts'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, operands } = invocation
  const name = operands[0] ?? null
  if (invocation.has('watch')) return watch(invocation, name)
  let body: string
  const silent = setTimeout(() => {
    invocation.err('paios: no answer for 5 s, still waiting: paios runbook SupervisorStalled\n')
  }, SILENT_MS)
  try {
    const answer = await request(home, 'GET', '/status')
    accepted(answer)
    body = answer.body
  } catch (error) {
    if (!(error instanceof PaiosError && error.code === 'no-supervisor')) throw error
    return offline(invocation, name, error)
  } finally {
    clearTimeout(silent)
  }
  const whole = JSON.parse(body) as Status
  const status = selected(whole, name)
  if (invocation.json) invocation.out(name === null ? `${body.trimEnd()}\n` : `${JSON.stringify(status)}\n`)
  else {
    const gap = versionGap(ownVersion(invocation.entry), whole.version)
    if (gap !== null) invocation.err(`paios: ${gap}\n`)
    invocation.out(screen(status, name, invocation))
    if (isOneService(status, name)) await showEvents(invocation, name)
  }
  return status.services.some(isDown) ? 1 : 0
}

/** The journal's view, for a home that once had a supervisor. */
async function offline(invocation: Invocation, name: string | null, error: PaiosError): Promise<number> {
  const { home } = invocation
  if (!existsSync(join(home, 'state', 'journal.db'))) throw error
  const { offlineStatus } = await import('../main.ts')
  const status = selected(await offlineStatus(home), name)
  invocation.err(`paios: ${error.message}\n`)
  invocation.out(invocation.json ? `${JSON.stringify(status)}\n` : screen(status, name, invocation))
  return error.exitCode
}

/** The status with only what NAME names: a service, or the members of a group. */
function selected(status: Status, name: string | null): Status {
  if (name === null) return status
  const services = status.services.filter((service) => service.name === name)
  const members = services.length > 0 ? services : status.services.filter((service) => service.group === name)
  if (members.length > 0) return { ...status, services: members }
  const known = status.services.flatMap((service) => [
    service.name,
    ...(service.group ? [service.group] : []),
  ])
  throw unknownService(name, known)
}

function isOneService(status: Status, name: string | null): name is string {
  return name !== null && status.services.length === 1 && status.services[0]!.name === name
}

function screen(status: Status, name: string | null, layout: Layout): string {
  if (isOneService(status, name)) return renderService(status.services[0]!, Date.now(), layout)
  return renderStatus(status, Date.now(), layout)
}

async function showEvents(invocation: Invocation, name: string): Promise<void> {
  const lines: string[] = []
  const path = `/events?service=${encodeURIComponent(name)}&limit=${EVENTS_SHOWN}`
  await follow(invocation.home, path, (line) => {
    lines.push(`    ${renderEvent(JSON.parse(line) as JournalEvent, Date.now(), invocation)}\n`)
  })
  if (lines.length > 0) invocation.out(`  last events\n${lines.join('')}`)
}

/** Until Ctrl-C. Without a terminal, one JSON line or screen for each change. */
async function watch(invocation: Invocation, name: string | null): Promise<number> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  let last = ''
  let exitCode = 0
  while (!stop.signal.aborted) {
    let text: string
    let change: string
    try {
      const status = selected(await call<Status>(invocation.home, 'GET', '/status'), name)
      exitCode = status.services.some(isDown) ? 1 : 0
      change = JSON.stringify(status)
      text = invocation.json ? `${change}\n` : screen(status, name, invocation)
    } catch (error) {
      if (!(error instanceof PaiosError && error.code === 'no-supervisor')) throw error
      exitCode = error.exitCode
      change = error.message
      text = invocation.json ? '' : `${error.message}\n`
    }
    if (invocation.tty && !invocation.json) invocation.out(repaint(text, process.stdout.rows || Infinity))
    else if (change !== last) invocation.out(text)
    last = change
    await pause(WATCH_EVERY_MS, stop.signal)
  }
  return exitCode
}

/** Home, each line cleared to its end, then everything below: nothing flickers. */
function repaint(text: string, rows: number): string {
  const lines = text.trimEnd().split('\n')
  const fitting =
    lines.length < rows ? lines : [...lines.slice(0, rows - 2), `… ${lines.length - rows + 2} more`]
  return `\u001b[H${fitting.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`
}
