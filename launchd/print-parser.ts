/**
 * What `launchctl print` says of a job. Its output is no interface and changes between releases, yet it is
 * the only source of pid, runs and last exit; so it is parsed with care, and what is not understood is
 * "cannot tell". Own fields have exactly one tab; blocks below repeat `state` and `pid`; an argument of
 * several lines is printed raw, with whatever is in it. Pure. Tried on captures of real Macs and on a model,
 * not by us on a Mac.
 */

/** A job as printed. null: the line was not there or not understood. */
export type PrintedJob = {
  readonly state: string | null
  readonly pid: number | null
  readonly path: string | null
  /** Who has registered it in the place of a plist, such as com.apple.xpc.ServiceManagement; null for a plist. */
  readonly managedBy: string | null
  readonly program: string | null
  readonly arguments: readonly string[]
  readonly runs: number | null
  /** How the run before has ended; also there while the next one runs. */
  readonly lastExit: LastExit
  readonly exitTimeoutS: number | null
  readonly properties: readonly string[]
  readonly environment: Readonly<Record<string, string>>
}

/** An exit code, a signal's number, a reason of the kernel such as OS_REASON_CODESIGNING, or nothing yet. */
export type LastExit =
  | { readonly kind: 'none' | 'unknown' }
  | { readonly kind: 'code'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: number; readonly text: string }
  | { readonly kind: 'reason'; readonly reason: string }

/** The property that a job has when its program was replaced and launchd refuses to run it. */
const STALE = 'needs LWCR update'

/** The job in an output of `launchctl print`, null where the output is none of a job. */
export function parsePrint(text: string): PrintedJob | null {
  const lines = text.split('\n')
  const head = lines.findIndex((line) => line.trim() !== '')
  if (head < 0 || !/^\S+ = \{$/.test(lines[head]!)) return null
  const fields = new Map<string, string>()
  const words: string[] = []
  const environment: Record<string, string> = {}
  let block: string | null = null
  for (const line of lines.slice(head + 1)) {
    if (block !== null) {
      if (line === '\t}') block = null
      else if (block === 'arguments') takeArgument(words, line)
      else if (block === 'environment') takeVariable(environment, line)
      continue
    }
    const opened = /^\t([^\t].*?) =>? \{$/.exec(line)
    const field = /^\t([^\t=][^=]*?) =>? (.*)$/.exec(line)
    if (opened) block = opened[1]!
    else if (field && !fields.has(field[1]!)) fields.set(field[1]!, field[2]!)
  }
  return jobOf(fields, words, environment)
}

function takeArgument(words: string[], line: string): void {
  if (line.startsWith('\t\t')) words.push(line.slice(2))
  else if (words.length > 0) words[words.length - 1] += `\n${line}`
}

function takeVariable(environment: Record<string, string>, line: string): void {
  const variable = /^\t\t([^\t]+?) => (.*)$/.exec(line)
  if (variable) environment[variable[1]!] = variable[2]!
}

function jobOf(
  fields: ReadonlyMap<string, string>,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): PrintedJob {
  const text = (name: string) => fields.get(name) ?? null
  const number = (name: string) => {
    const match = /^\d+$/.exec(fields.get(name) ?? '')
    return match ? Number(match[0]) : null
  }
  return {
    state: text('state'),
    pid: number('pid'),
    path: text('path'),
    managedBy: text('managed_by'),
    program: text('program'),
    arguments: words,
    runs: number('runs'),
    lastExit: lastExitOf(fields),
    exitTimeoutS: number('exit timeout'),
    properties: (text('properties') ?? '')
      .split('|')
      .map((one) => one.trim())
      .filter((one) => one !== ''),
    environment,
  }
}

function lastExitOf(fields: ReadonlyMap<string, string>): LastExit {
  const reason = fields.get('last exit reason')
  if (reason !== undefined) return { kind: 'reason', reason }
  const signal = /^(.*): (\d+)$/.exec(fields.get('last terminating signal') ?? '')
  if (signal) return { kind: 'signal', signal: Number(signal[2]), text: signal[1]! }
  const code = fields.get('last exit code')
  if (code === undefined) return { kind: 'unknown' }
  if (code === '(never exited)') return { kind: 'none' }
  const leading = /^-?\d+/.exec(code)
  return leading ? { kind: 'code', code: Number(leading[0]) } : { kind: 'unknown' }
}

/** Why a job that should run does not, in words; null if nothing is wrong or nothing can be told. */
export function troubleOf(job: PrintedJob): string | null {
  if (job.properties.includes(STALE))
    return 'its program was replaced, and launchd refuses the new one (install again)'
  if (job.pid !== null) return null
  const { lastExit } = job
  if (lastExit.kind === 'reason') return `macOS refused to run it: ${lastExit.reason}`
  // 78 is what launchd itself writes where it could not start the program.
  if (lastExit.kind === 'code' && lastExit.code === 78)
    return 'launchd could not start its program (78, EX_CONFIG)'
  if (lastExit.kind === 'signal') return `ended by ${lastExit.text} (signal ${lastExit.signal})`
  return lastExit.kind === 'code' && lastExit.code !== 0 ? `ended with exit code ${lastExit.code}` : null
}

/** The label of each running job in the table of `launchctl list`, by its pid. */
export function parseList(text: string): Map<number, string> {
  const found = [...text.matchAll(/^(\d+)\t-?\d+\t(.+)$/gm)]
  return new Map(found.map((match) => [Number(match[1]), match[2]!]))
}

/** The labels that `launchctl print-disabled` names as disabled; a label that is not there is enabled. */
export function parseDisabled(text: string): Set<string> {
  const found = [...text.matchAll(/^\s*"([^"]+)" => (disabled|true)$/gm)]
  return new Set(found.map((match) => match[1]!))
}
