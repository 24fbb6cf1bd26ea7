/** What an event of the journal counts as among the exits of processes: when it happens, and when it is read again. */
import { constants } from 'node:os'
import type { ExitSignature } from '../../schemas/service.ts'
import type { JournalEvent } from '../../schemas/status.ts'
import type { ExitCause } from './metrics.ts'

/** Null for what is no exit. `code` as shells count. */
export function exitCountOf({ kind, text, data }: Pick<JournalEvent, 'kind' | 'text' | 'data'>): {
  readonly cause: ExitCause
  readonly code: number
} | null {
  if (kind === 'spawn-failed') return { cause: 'spawn_failed', code: -1 }
  if (kind !== 'exited') return null
  const exit = data as ExitData
  return { cause: causeOf(text, exit), code: codeOf(exit.code, exit.signal) }
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

function causeOf(text: string, { code, signal, asked, ...more }: ExitData): ExitCause {
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
