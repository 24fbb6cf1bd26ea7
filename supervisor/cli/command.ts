/**
 * What a command of `paios` is, and how its words are parsed. A command declares its flags as data, so that
 * help, completion and the nearest-name hints are made from the same declaration as the parser.
 */
import { parseArgs } from 'node:util'
import { nearest, PaiosError } from '../errors.ts'

/** One flag. `value` names what it takes (`DURATION`), null for a switch. */
type Flag = { readonly short?: string; readonly value: string | null; readonly help: string }

/** What a command gets: its flags and operands, where things are, and where to write. */
export type Invocation = {
  /** The mesh's home, absolute. */
  readonly home: string
  /** Absolute path of bin/paios.mjs, which the keeper runs. */
  readonly entry: string
  /** Every command, for those that speak of the others. */
  readonly register: Register
  readonly json: boolean
  /** Standard output is a terminal. */
  readonly tty: boolean
  readonly color: boolean
  /** Columns to fit, Infinity where the output is no terminal. */
  readonly columns: number
  readonly operands: readonly string[]
  /** True if the switch was given. */
  readonly has: (flag: string) => boolean
  /** The flag's value, null if not given. */
  readonly text: (flag: string) => string | null
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

/** A command, the export `command` of its file. `run` resolves to the exit code. */
export type Command = {
  /** After `paios `: the operands and flags in short. */
  readonly usage: string
  /** What it does, one or two sentences. */
  readonly about: string
  readonly flags: Readonly<Record<string, Flag>>
  /** How many operands it takes. */
  readonly operands: { readonly min: number; readonly max: number }
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  readonly run: (invocation: Invocation) => Promise<number>
}

/** The commands by name; each is loaded only when it is needed. */
export type Register = Readonly<Record<string, RegisterEntry>>
type RegisterEntry = { readonly summary: string; readonly load: () => Promise<{ readonly command: Command }> }

/** The flags that every command takes. */
export const GLOBAL_FLAGS: Readonly<Record<string, Flag>> = {
  json: { value: null, help: 'print JSON for scripts' },
  home: { value: 'DIR', help: 'the mesh in DIR (else PAIOS_HOME, else ~/.paios)' },
  'no-color': { value: null, help: 'no colours (also NO_COLOR)' },
  help: { short: 'h', value: null, help: 'this text' },
}

/** What was typed, parsed. */
export type Words = {
  readonly values: ReadonlyMap<string, string | true>
  readonly operands: readonly string[]
}

/**
 * Parses a command's words. Throws PaiosError `usage` that names the nearest flag for one that does not
 * exist.
 */
export function parseWords(
  args: readonly string[],
  command: Pick<Command, 'flags' | 'operands' | 'usage'>,
): Words {
  const flags = { ...command.flags, ...GLOBAL_FLAGS }
  refuseUnknown(args, flags)
  const { values, positionals } = parsed(args, optionsOf(flags))
  const { min, max } = command.operands
  if (values['help'] !== true) {
    if (positionals.length < min)
      throw new PaiosError('usage', `something is missing: paios ${command.usage}`)
    if (positionals.length > max) {
      throw new PaiosError('usage', `'${positionals[max]}' is one word too many: paios ${command.usage}`)
    }
  }
  const given = Object.entries(values).filter((pair): pair is [string, string | true] => Boolean(pair[1]))
  return { values: new Map(given), operands: positionals }
}

function parsed(args: readonly string[], options: ReturnType<typeof optionsOf>) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    // parseArgs words its own complaints for operators; unknown flags were refused before.
    const message = error instanceof Error ? error.message.split('. ')[0] : null
    throw new PaiosError('usage', message ?? String(error), { cause: error })
  }
}

function refuseUnknown(args: readonly string[], flags: Readonly<Record<string, Flag>>): void {
  const names = Object.keys(flags)
  const shorts = new Set(
    Object.values(flags).flatMap((flag) => (flag.short === undefined ? [] : [flag.short])),
  )
  const { tokens } = parseArgs({ args: [...args], options: optionsOf(flags), strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind !== 'option' || token.name in flags || shorts.has(token.name)) continue
    const hint = token.rawName.startsWith('--') ? nearest(token.name, names) : null
    throw new PaiosError(
      'usage',
      `there is no flag ${token.rawName}${hint === null ? '' : ` (did you mean --${hint}?)`}`,
    )
  }
}

function optionsOf(flags: Readonly<Record<string, Flag>>) {
  const entries = Object.entries(flags).map(([name, flag]) => {
    const type: 'string' | 'boolean' = flag.value === null ? 'boolean' : 'string'
    return [name, flag.short === undefined ? { type } : { type, short: flag.short }] as const
  })
  return Object.fromEntries(entries)
}

/** The text of `paios NAME --help`. */
export function helpText(command: Command): string {
  const lines = [`paios ${command.usage}`, '', command.about, '', 'Flags:']
  const flags = Object.entries({ ...command.flags, ...GLOBAL_FLAGS })
  const heads = flags.map(([name, flag]) => {
    const short = flag.short === undefined ? '' : `-${flag.short}, `
    return `${short}--${name}${flag.value === null ? '' : ` ${flag.value}`}`
  })
  const width = Math.max(...heads.map((head) => head.length))
  flags.forEach(([, flag], index) => {
    lines.push(`  ${heads[index]!.padEnd(width)}  ${flag.help}`)
  })
  lines.push('', 'Examples:')
  for (const [example, meaning] of command.examples) lines.push(`  ${example}`, `      ${meaning}`)
  return lines.join('\n') + '\n'
}
