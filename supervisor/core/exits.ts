/** What an exit means: signatures first, then the plain rule. */
import type { ServiceSpec } from '../../schemas/service.ts'
import type { Ending, Exit } from './state.ts'

/** The exit in words, such as `exit code 78` or `killed by SIGKILL`. */
export function describeExit({ code, signal }: Exit): string {
  if (signal !== null) return `killed by ${signal}`
  if (code !== null) return `exit code ${code}`
  return 'ended, and nobody saw its exit code'
}

/** Terminal colour sequences; programs write them even into files. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is what is looked for.
const ANSI = /\u001b\[[0-9;?]*[ -/]*[@-~]/g

/** A line that names an error; the last line of a log seldom does, such as the version below a trace of Node. */
const TELLING = /\b\w*(?:Error|Exception)\b|\bpanicked\b|^\s*(?:fatal|error)\b/i
/** Longer lines are cut, so that a reason stays one line. */
const SAID_LENGTH = 200

/** The last line that names an error, after a colon; empty if none does. */
function said(tail: string): string {
  const line = tail
    .split('\n')
    .findLast((each) => TELLING.test(each))
    ?.trim()
  if (line === undefined) return ''
  return `: ${line.length > SAID_LENGTH ? `${line.slice(0, SAID_LENGTH - 1)}…` : line}`
}

/**
 * Classes an exit by the first signature that matches; otherwise code 0 is success and everything else failure, told
 * with the last line of the log that names an error. `logTail` is what this life wrote last (at most 64 KiB). `$1` in
 * a reason is the group of the log pattern. An adopted process is not our child, so its exit code stays unknown: then
 * a planned end is believed by its log.
 */
export function classify(spec: ServiceSpec, exit: Exit, logTail: string): Ending {
  const tail = logTail.replace(ANSI, '')
  const isUnseen = exit.code === null && exit.signal === null
  for (const signature of spec.exits) {
    const isTold = isUnseen && signature.class === 'planned' && signature.log !== undefined
    if (!isTold && signature.code !== undefined && signature.code !== exit.code) continue
    if (!isTold && signature.signal !== undefined && signature.signal !== exit.signal) continue
    let groups: readonly string[] = []
    if (signature.log !== undefined) {
      const match = new RegExp(signature.log, 'm').exec(tail)
      if (!match) continue
      groups = match
    }
    const reason = signature.reason.replace(/\$(\d)/g, (_, digit: string) =>
      (groups[Number(digit)] ?? '').trim(),
    )
    return { exit, class: signature.class, reason: `${describeExit(exit)}: ${reason}` }
  }
  if (exit.code === 0) return { exit, class: 'success', reason: describeExit(exit) }
  return { exit, class: 'failure', reason: describeExit(exit) + (exit.code === null ? '' : said(tail)) }
}
