/** `paios check`. */
import { homedir } from 'node:os'
import type { ServiceSpec } from '../../schemas/service.ts'
import type { MeshConfig } from '../config.ts'
import type { Hiding } from '../shell/secrets.ts'
import type { Command, Invocation } from './command.ts'
import { checkDocument, documentPath, validMesh } from './document.ts'
import { paint, plain } from './render.ts'

/**
 * Presets whose program may be run for its version: it starts no login, writes no database and ends by
 * itself.
 */
const SAFE_VERSION: ReadonlySet<string> = new Set(['openclaw-gateway'])
const VERSION_LIMIT_MS = 15_000

/** Checks the document and shows what it comes to on this machine. */
export const command: Command = {
  usage: 'check [--document]',
  about:
    'Checks paios.yaml and prints every problem with its line (exit 3). If it is valid, shows for each service what\n' +
    'its program resolves to, its ports, and which secrets are present; never their values. Your own\n' +
    'runbooks are checked, too (exit 3). Changes nothing.',
  flags: { document: { value: null, help: 'only the document, not what is on this machine' } },
  operands: { min: 0, max: 0 },
  examples: [
    ['paios check && paios up', 'apply an edited document only if it is valid'],
    ['paios check --json', 'problems with line, column and path'],
  ],
  run,
}

/** A reference to a secret, why it cannot be read (null if it can), and where its value is struck out. */
export type Secret = {
  readonly reference: string
  readonly trouble: string | null
  readonly hidden: Hiding | null
}

type Checked = {
  readonly name: string
  readonly preset: string
  /** The program's absolute path; null if it is not installed, or if the service runs none. */
  readonly program: string | null
  /** What is wrong with the program, or that it is missing; null if nothing is. */
  readonly trouble: string | null
  readonly version: string | null
  readonly ports: readonly number[]
  readonly secrets: readonly Secret[]
}

async function run(invocation: Invocation): Promise<number> {
  const { home, json, out } = invocation
  const path = documentPath(home)
  const result = await checkDocument(path)
  if (!result.ok && json) {
    out(`${JSON.stringify({ path, valid: false, problems: result.problems })}\n`)
    return 3
  }
  const mesh = await validMesh(path, result)
  const specs = invocation.has('document') ? [] : mesh.specs
  const services = await Promise.all(specs.map((spec) => checkService(spec, home)))
  const { checkRunbooks } = await import('./check-runbooks.ts')
  const isAll = !invocation.has('document')
  const runbooks = isAll ? await checkRunbooks(home, mesh) : []
  const found = { path, valid: true, problems: [], warnings: mesh.warnings, services }
  if (json) out(`${JSON.stringify(isAll ? { ...found, runbooks } : found)}\n`)
  else {
    out(report(path, mesh, services, invocation))
    for (const { path: file, problems } of runbooks)
      for (const { line, column, path: where, message } of problems) {
        const what = `${where === '' ? '' : `${where}: `}${plain(message)}`
        out(`${paint(`! ${file}:${line}:${column} ${what}`, 'red', invocation)}\n`)
      }
  }
  return runbooks.some(({ problems }) => problems.length > 0) ? 3 : 0
}

async function checkService(spec: ServiceSpec, home: string): Promise<Checked> {
  const { resolveProgram, servicePath } = await import('../shell/environment.ts')
  const path = spec.env['PATH'] ?? servicePath()
  const program = spec.command === null ? null : resolveProgram(spec, path)
  const found = program?.kind === 'found' ? program.path : null
  return {
    name: spec.name,
    preset: spec.preset,
    program: found,
    trouble: program === null || program.kind === 'found' ? null : remedied(program, spec),
    version: found !== null && SAFE_VERSION.has(spec.preset) ? await versionOf(found, path) : null,
    ports: spec.ports,
    secrets: await secretsOf(spec, home),
  }
}

/** What is wrong with a program, and the command that installs one that is not there. */
function remedied({ kind, reason }: { kind: string; reason: string }, { install }: ServiceSpec): string {
  return kind === 'absent' && install !== null ? `${reason}; install it: ${install}` : reason
}

/** Every reference to a secret in the spec, and whether it can be read. The values go nowhere. */
export async function secretsOf(spec: ServiceSpec, home: string): Promise<Secret[]> {
  const { hidingOf, MissingSecret, openSecrets } = await import('../shell/secrets.ts')
  const { homeAt } = await import('../shell/home.ts')
  const secrets = openSecrets(homeAt(home).env)
  const references = new Set(JSON.stringify([spec.env, spec.probes]).match(/\$\{(?:file|env|json):[^}"]+\}/g))
  return [...references].map((reference) => {
    try {
      return { reference, trouble: null, hidden: hidingOf(reference, secrets.resolve(reference)) }
    } catch (error) {
      if (!(error instanceof MissingSecret)) throw error
      return { reference, trouble: error.message, hidden: null }
    }
  })
}

/** The first line that the program prints for `--version`, null if it prints none in time. */
async function versionOf(program: string, path: string): Promise<string | null> {
  const { execa } = await import('execa')
  const { failed, stdout } = await execa(program, ['--version'], {
    env: { PATH: path, HOME: homedir() },
    extendEnv: false,
    stdin: 'ignore',
    timeout: VERSION_LIMIT_MS,
    killSignal: 'SIGKILL',
    reject: false,
  })
  const first = plain(stdout.split('\n')[0] ?? '')
  return !failed && first !== '' ? first : null
}

function report(path: string, mesh: MeshConfig, services: readonly Checked[], layout: Invocation): string {
  const count = mesh.specs.length === 1 ? '1 service' : `${mesh.specs.length} services`
  const lines = [`${path} is valid: ${count}`]
  for (const { line, path: where, message } of mesh.warnings) {
    lines.push(paint(`! line ${line}: ${where}: ${message}`, 'yellow', layout))
  }
  const width = Math.max(0, ...services.map(({ name }) => name.length))
  for (const service of services) {
    const parts = [
      service.program ?? (service.trouble === null ? 'runs no program of ours' : null),
      service.version,
    ]
    if (service.ports.length > 0) parts.push(`port ${service.ports.join(', ')}`)
    const text = parts.filter((part) => part !== null).join(' · ')
    const trouble =
      service.trouble === null
        ? ''
        : paint(`${text === '' ? '' : ' · '}! ${service.trouble}`, 'yellow', layout)
    lines.push(`${service.name.padEnd(width)}  ${service.preset}  ${text}${trouble}`)
    for (const secret of service.secrets) {
      lines.push(`${' '.repeat(width)}  ${secret.reference}: ${verdictOn(secret, layout)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

const EXPOSED: Readonly<Record<Hiding, string | null>> = {
  everywhere: null,
  alone: 'short or an ordinary word, so it is struck out of logs and reasons only where it stands alone',
  nowhere: 'too short or too ordinary to be struck out of logs and reasons',
}

function verdictOn({ reference, trouble, hidden }: Secret, layout: Invocation): string {
  if (trouble !== null) return paint(`! ${trouble}`, 'red', layout)
  const exposed = hidden && EXPOSED[hidden]
  if (exposed === null) return 'present'
  // A variable may be a setting as well, and then nothing is wrong.
  const remedy = reference.startsWith('${env:') ? 'if it is a secret, take a longer one' : 'take a longer one'
  return `present ${paint(`! ${exposed}: ${remedy}`, 'yellow', layout)}`
}
