/** Waiting until services are settled, and saying meanwhile what they do. */
import type { ServiceStatus, Status } from '../../schemas/status.ts'
import { PaiosError } from '../errors.ts'
import { call } from './client.ts'
import type { Invocation } from './command.ts'
import { countdown, formatSpan, paint, STATE_TONES, shorten } from './render.ts'

const POLL_MS = 100
/** The first polls come faster, for meshes that are settled in no time. */
const FIRST_POLL_MS = 20
const FIRST_POLLS = 5
/** Added to the longest start budget, by semantics §10. */
const SLACK_MS = 10_000
/** The longest budget of any preset: what is waited where the document cannot be read for a better number. */
const LONGEST_BUDGET_MS = 300_000

/** How the wait ended: the last status seen, and whether the services named were settled in it. */
type Settled = { readonly status: Status; readonly settled: boolean }

/**
 * Polls until every service named is settled (`names` null = every one), at most the longest start budget of
 * the document + 10 s, or 10 s past the latest stop deadline seen. Throws like `call`.
 */
export async function waitSettled(invocation: Invocation, names: readonly string[] | null): Promise<Settled> {
  const progress = createProgress(invocation)
  const startedMs = performance.now()
  let limitMs: number | null = null
  for (let round = 0; ; round++) {
    const status = await call<Status>(invocation.home, 'GET', '/status')
    const awaited =
      names === null ? status.services : status.services.filter(({ name }) => names.includes(name))
    progress.show(awaited, performance.now() - startedMs)
    const settled = awaited.every((service) => service.settled)
    const elapsedMs = performance.now() - startedMs
    // Parsing the document for the budgets costs more than most waits take, so it is put off until it
    // matters.
    if (!settled && elapsedMs > SLACK_MS) limitMs ??= (await longestBudgetMs(status.document.path)) + SLACK_MS
    const drainMs = Math.max(
      0,
      ...awaited.map(({ deadline }) => (deadline === null ? 0 : Date.parse(deadline) - Date.now())),
    )
    const isOver = limitMs !== null && elapsedMs > limitMs && drainMs <= 0
    if (settled || isOver) {
      progress.end()
      return { status, settled }
    }
    await new Promise((resolve) => setTimeout(resolve, round < FIRST_POLLS ? FIRST_POLL_MS : POLL_MS))
  }
}

async function longestBudgetMs(documentPath: string): Promise<number> {
  const { checkDocument, validMesh } = await import('./document.ts')
  try {
    const { specs } = await validMesh(documentPath, await checkDocument(documentPath))
    return Math.max(0, ...specs.map((spec) => Math.max(spec.startTimeout, spec.startTimeoutMax)))
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
    // The document was edited into something that cannot be read since it was applied; the wait goes on
    // without it.
    return LONGEST_BUDGET_MS
  }
}

/**
 * What is shown while waiting: a line per service as it settles, and one that is rewritten for what still
 * drains.
 */
type Progress = {
  readonly show: (services: readonly ServiceStatus[], elapsedMs: number) => void
  readonly end: () => void
}

/** Progress on a terminal; nothing elsewhere, where only the result is wanted. */
export function createProgress(invocation: Invocation): Progress {
  if (!invocation.tty || invocation.json) return { show: () => undefined, end: () => undefined }
  const seen = new Set<string>()
  const clear = '\r\u001b[K'
  let last = ''
  return {
    show(services, elapsedMs) {
      let text = clear
      for (const { name, state, settled, reason } of services) {
        if (!settled || seen.has(name)) continue
        seen.add(name)
        const why = reason === null ? '' : `  ${reason}`
        const line = `${name}  ${state}  ${formatTenths(elapsedMs)}${why}`
        text += `  ${paint(shorten(line, invocation.columns - 2), STATE_TONES[state], invocation)}\n`
      }
      const line = shorten(awaitedLine(services), invocation.columns - 1)
      if (text === clear && line === last) return
      last = line
      invocation.out(line === '' ? text : text + paint(line, 'dim', invocation))
    },
    end: () => invocation.out(clear),
  }
}

function awaitedLine(services: readonly ServiceStatus[]): string {
  const rest = services.filter((service) => !service.settled)
  const words = rest.map(({ name, state, deadline }) => {
    return deadline === null ? `${name} ${state}` : `${name} ${state}, ${countdown(deadline, Date.now())}`
  })
  return words.length === 0 ? '' : `… ${words.join(' · ')}`
}

function formatTenths(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : formatSpan(ms)
}
