/** What a journal event means beside its record: a line of the log, and a count. */
import type { Effect } from '../core/effect.ts'
import { exitCountOf } from './exit-count.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

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
  const exit = exitCountOf({ kind: event, text, data })
  if (exit) measure((to) => to.exited(subject, exit.cause, exit.code))
  measure((to) => to.changed())
}
