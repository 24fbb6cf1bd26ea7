/** What a journal event means beside its record: a line of the log, and a count. */
import { constants } from 'node:os'
import type { ExitSignature } from '../../schemas/service.ts'
import type { Effect } from '../core/effect.ts'
import type { Logger } from './logger.ts'
import type { ExitCause, Metrics } from './metrics.ts'

/** What the metrics are told, kept until they are loaded. */
export type Told = (metrics: Metrics) => void

type RecordEffect = Extract<Effect, { kind: 'record' }>
const LOUD = new Set([
  'failed',
  'blocked',
  'missing',
  'unknown',
  'hung',
  'degraded',
  'left-over',
  'foreign',
  'killed',
  'warning',
  'start-failed',
  'spawn-failed',
  'log-not-rotated',
])

/** Writes a journal event to the log and counts what is to be counted. */
export function heed(
  { subject, generation, event, text, data }: RecordEffect,
  logger: Logger,
  measure: (told: Told) => void,
): void {
  logger[LOUD.has(event) ? 'warn' : 'info'](text, { subject, generation, event, ...data })
  if (event === 'exited') {
    const exit = data as ExitData
    measure((to) => to.exited(subject, exitCause(text, exit), codeOf(exit.code, exit.signal)))
  }
  if (event === 'spawn-failed') measure((to) => to.exited(subject, 'spawn_failed', -1))
  measure((to) => to.changed())
}

/** What the core says of an exit. `isFinal`: its type lets it end; `isFailure`: it was ended since it had failed. */
type ExitData = {
  readonly code: number | null
  readonly signal: string | null
  readonly asked: boolean
  readonly class?: ExitSignature['class']
  readonly isFinal?: boolean
  readonly isFailure?: boolean
}

function exitCause(text: string, { code, signal, asked, ...more }: ExitData): ExitCause {
  if (asked && text.startsWith('hung')) return 'hung'
  if (asked) return more.isFailure === true ? 'error' : 'stopped'
  if (more.class === 'planned') return 'planned'
  if (more.class === 'success' && more.isFinal === true) return 'completed'
  if (signal !== null) return 'signal'
  return code === 0 ? 'clean' : 'error'
}

/** 128 + n for a signal, as shells count; -1 if nobody saw the end. */
function codeOf(code: number | null, signal: string | null): number {
  if (code !== null) return code
  const number = signal === null ? undefined : constants.signals[signal as NodeJS.Signals]
  return number === undefined ? -1 : 128 + number
}
