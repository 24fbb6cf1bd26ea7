/**
 * The register of commands, and the way from what was typed to the one command that it loads. Nothing here
 * may be heavy: `paios status` passes through it, and its cost is measured.
 */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { nearest, PaiosError } from '../errors.ts'
import { GLOBAL_FLAGS, helpText, type Invocation, parseWords, type Register, type Words } from './command.ts'

/** Every command, in the order of the help text. */
export const commands: Register = {
  up: { summary: 'start the mesh, or bring it to its document', load: () => import('./up.ts') },
  down: { summary: 'stop every service and the supervisor', load: () => import('./down.ts') },
  status: { summary: 'show what runs and what does not', load: () => import('./status.ts') },
  start: { summary: 'start a service or a group', load: () => import('./start.ts') },
  stop: { summary: 'stop a service or a group until it is started again', load: () => import('./stop.ts') },
  restart: { summary: 'restart a service or a group', load: () => import('./restart.ts') },
  probe: { summary: "run a service's probes now", load: () => import('./probe.ts') },
  runbook: { summary: 'what to do about a fault, and have it done', load: () => import('./runbook.ts') },
  approve: {
    summary: 'say yes to a step that waits for you, or list them',
    load: () => import('./approve.ts'),
  },
  deny: { summary: 'say no to one', load: () => import('./deny.ts') },
  mcp: { summary: 'show MCP servers, who uses them, and orphans', load: () => import('./mcp.ts') },
  logs: { summary: "show a service's own output", load: () => import('./logs.ts') },
  events: { summary: 'show what happened, and why', load: () => import('./events.ts') },
  alerts: { summary: 'show what is wrong, who was told, and why not', load: () => import('./alerts.ts') },
  ack: { summary: 'say that you have taken an incident on', load: () => import('./ack.ts') },
  mute: { summary: 'hold the messages of a service or a rule', load: () => import('./mute.ts') },
  unmute: { summary: 'end a mute', load: () => import('./unmute.ts') },
  maintenance: {
    summary: 'hold what follows from work on the machine',
    load: () => import('./maintenance.ts'),
  },
  check: { summary: 'check the document and what its programs resolve to', load: () => import('./check.ts') },
  export: {
    summary: 'write alert rules and dashboards for Prometheus, Alertmanager, Grafana',
    load: () => import('./export.ts'),
  },
  schema: { summary: "print the document's JSON Schema", load: () => import('./schema.ts') },
  install: { summary: 'have systemd or launchd start the mesh at login', load: () => import('./install.ts') },
  uninstall: { summary: 'take that back; services go on', load: () => import('./uninstall.ts') },
  upgrade: { summary: 'run the supervisor from another version', load: () => import('./upgrade.ts') },
  report: {
    summary: 'say how the mesh was: availability, faults, alerts',
    load: () => import('./report.ts'),
  },
  takeover: {
    summary: 'take a service over from systemd or launchd',
    load: () => import('./takeover.ts'),
  },
  release: { summary: 'give it back to systemd or launchd', load: () => import('./release.ts') },
  doctor: {
    summary: 'say what will not survive a reboot, and what else is wrong',
    load: () => import('./doctor.ts'),
  },
  selftest: { summary: 'try launchd on this Mac with a throwaway job', load: () => import('./selftest.ts') },
  version: {
    summary: 'print the versions of paios and of the supervisor',
    load: () => import('./version.ts'),
  },
  completion: { summary: 'print a completion script for a shell', load: () => import('./completion.ts') },
}

/**
 * Runs one command line and resolves to its exit code. `entry` is the absolute path of bin/paios.mjs. Faults
 * of the operator or the world are printed; a fault of our own is thrown.
 */
export async function paios(args: readonly string[], entry: string): Promise<number> {
  // The reader of a pipe may go first (`paios logs kb | head`); that is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  try {
    return await dispatch(args, entry)
  } catch (error) {
    if (!(error instanceof PaiosError)) throw error
    process.stderr.write(`paios: ${error.message}\n`)
    if (args.includes('--json')) {
      process.stdout.write(`${JSON.stringify({ error: { code: error.code, message: error.message } })}\n`)
    }
    return error.exitCode
  }
}

async function dispatch(args: readonly string[], entry: string): Promise<number> {
  const { name, rest } = splitCommand(args)
  if (name === null) {
    if (rest.includes('--version') || rest.includes('-V')) return runCommand('version', [], entry)
    parseWords(rest, { usage: 'COMMAND', flags: {}, operands: { min: 0, max: 0 } })
    process.stdout.write(overview())
    return 0
  }
  if (name !== 'help') return runCommand(name, rest, entry)
  const about = splitCommand(rest).name
  if (about !== null) return runCommand(about, ['--help'], entry)
  process.stdout.write(overview())
  return 0
}

/**
 * The first word that is neither a flag nor the value of `--home` is the command; flags may stand before it.
 */
function splitCommand(args: readonly string[]): { name: string | null; rest: readonly string[] } {
  for (let index = 0; index < args.length; index++) {
    const word = args[index]!
    if (word === '--home') index++
    else if (!word.startsWith('-')) return { name: word, rest: args.toSpliced(index, 1) }
  }
  return { name: null, rest: args }
}

async function runCommand(name: string, args: readonly string[], entry: string): Promise<number> {
  if (!Object.hasOwn(commands, name)) {
    const hint = nearest(name, Object.keys(commands))
    const help = hint === null ? 'see paios help' : `did you mean ${hint}?`
    throw new PaiosError('usage', `there is no command '${name}' (${help})`)
  }
  const { command } = await commands[name]!.load()
  const words = parseWords(args, command)
  if (words.values.has('help')) {
    process.stdout.write(helpText(command))
    return 0
  }
  return command.run(invocationOf(words, entry))
}

function invocationOf({ values, operands }: Words, entry: string): Invocation {
  const text = (flag: string) => {
    const value = values.get(flag)
    return typeof value === 'string' ? value : null
  }
  const tty = process.stdout.isTTY === true
  const noColor = values.has('no-color') || Boolean(process.env['NO_COLOR']) || process.env['TERM'] === 'dumb'
  return {
    home: resolve(text('home') ?? (process.env['PAIOS_HOME'] || join(homedir(), '.paios'))),
    entry,
    register: commands,
    json: values.has('json'),
    tty,
    color: tty && !noColor,
    // 80 is the least that the table is laid out for.
    columns: tty ? Math.max(80, process.stdout.columns) : Infinity,
    operands,
    has: (flag) => values.has(flag),
    text,
    out: (chunk) => process.stdout.write(chunk),
    err: (chunk) => process.stderr.write(chunk),
  }
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  const lines = ['paios COMMAND [FLAGS]', '', 'Keeps a personal AI operating system alive.', '', 'Commands:']
  for (const [name, { summary }] of Object.entries(commands))
    lines.push(`  ${name.padEnd(width)}  ${summary}`)
  lines.push('', 'Flags of every command:')
  for (const [name, flag] of Object.entries(GLOBAL_FLAGS)) {
    lines.push(
      `  ${`--${name}${flag.value === null ? '' : ` ${flag.value}`}`.padEnd(width + 2)}  ${flag.help}`,
    )
  }
  lines.push(
    '',
    'paios COMMAND --help shows its flags and examples. Exit codes: 0 well, 1 something is down or failed,',
  )
  lines.push('2 usage, 3 invalid document, 4 no supervisor, 5 refused.')
  return lines.join('\n') + '\n'
}
