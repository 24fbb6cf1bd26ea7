/** One check of a probe: within its time-out, cut where somebody says so, and in words that hold no secret. */
import type { OpenProbe, ProbeResult } from '../../probes/probe.ts'
import type { ProbeSpec } from '../../schemas/service.ts'
import type { ProbeOutcome } from '../core/event.ts'
import type { ProbeRun } from './prober.ts'
import { MissingSecret, type Secrets } from './secrets.ts'

/** A time-out that rings this much too late was ours, not the service's. */
const LATE_MS = 1_000
/** A probe whose time is over gets this long to say what it was waiting for. */
const REACT_MS = 200

/**
 * One check within the probe's time-out. The caller may abort `controller` to cut it, and with it the program that
 * it runs; a signal made of two would cost more than the rest of a check.
 */
export async function settle(
  opened: OpenProbe,
  probe: ProbeSpec,
  controller: AbortController,
): Promise<ProbeResult> {
  const due = performance.now() + probe.timeout
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<ProbeResult>((resolve) => {
    timer = setTimeout(() => {
      const isOurs = performance.now() - due > LATE_MS
      controller.abort()
      if (isOurs) return resolve({ kind: 'unknown', reason: 'the prober itself was late' })
      // The probe knows best what it was waiting for; only one that does not react is answered for.
      const reason = `${probe.kind}: no answer within ${probe.timeout / 1000} s`
      timer = setTimeout(() => resolve({ kind: 'fail', reason, progress: false }), REACT_MS)
    }, probe.timeout)
  })
  try {
    return await Promise.race([opened.check(controller.signal), late])
  } catch (error) {
    return { kind: 'unknown', reason: (error as Error).message }
  } finally {
    clearTimeout(timer)
  }
}

/** What a check that could not be made says. */
export function failureOf(error: unknown, secrets: Secrets): ProbeResult {
  if (error instanceof MissingSecret) return { kind: 'unknown', reason: error.message }
  return { kind: 'unknown', reason: secrets.redact((error as Error).message) }
}

/** The result as a label of the metrics. */
export function wordOf(result: ProbeResult, isTimedOut: boolean): ProbeRun['result'] {
  if (result.kind === 'pass') return 'ok'
  if (result.kind === 'unknown') return 'error'
  return isTimedOut ? 'timeout' : 'fail'
}

/** The result for the core, without secrets. */
export function clean(result: ProbeResult, secrets: Secrets): ProbeOutcome {
  if (result.kind !== 'pass') return { ...result, reason: secrets.redact(result.reason) }
  return result.note === null ? result : { ...result, note: secrets.redact(result.note) }
}
