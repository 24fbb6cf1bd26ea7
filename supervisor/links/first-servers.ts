/**
 * The registered servers as services of a first document. Values of variables and headers are never copied;
 * what came with a folder and was not approved, what is a brain itself, and what would leave this machine is
 * only named.
 */
import { isLoopback } from '../../probes/loopback.ts'
import { clientOf } from './client-formats.ts'
import type { HttpServer, Registration, StdioServer } from './identity.ts'
import { hidesSomething, showArgv, showUrl } from './redaction.ts'
import type { Subject } from './table.ts'

/** More than this are for the operator to choose from. */
const SERVERS_MAX = 50

/** The lines of `services:` for these servers; empty if there are none. `taken` are names that are in use. */
export function serversPart(subjects: readonly Subject[], taken: readonly string[]): string {
  const names = new Set(taken)
  const used = subjects.filter(({ registrations }) => registrations.some(isUsed))
  const parts = used.slice(0, SERVERS_MAX).map((subject) => serverPart(subject, names))
  const strange = subjects.filter(({ registrations }) => !registrations.some(isUsed)).length
  const more = Math.max(0, used.length - SERVERS_MAX)
  if (more > 0) parts.push(`  # ${more} more MCP servers are registered: paios mcp lists them.\n`)
  if (strange > 0) {
    parts.push(`  # ${strange} more, disabled or not approved by you, are left out: paios mcp lists them.\n`)
  }
  return parts.join('\n')
}

const isUsed = ({ off, isStrange }: Registration) => off === null && !isStrange

function serverPart({ server, registrations }: Subject, names: Set<string>): string {
  const used = registrations.filter(isUsed)
  const clients = [...new Set(used.map(({ client, scope }) => `${client} (${scope})`))].join(', ')
  const [first] = used
  const shown = server.kind === 'stdio' ? showArgv(server.written) : showUrl(server.written)
  const why = server.kind === 'stdio' ? whyNotCommand(server) : whyNotUrl(server)
  if (why !== null) {
    return comment([`MCP server ${first!.name}, registered with ${clients}, is left out: ${why}.`, shown])
  }
  const name = freeName(first!.name, names)
  return server.kind === 'stdio' ? stdioPart(name, clients, server) : httpPart(name, clients, server)
}

function whyNotCommand({ argv, written }: StdioServer): string | null {
  if (clientOf(argv) !== null) return 'it is a brain, and starting it may touch its login'
  if (hidesSomething(written)) return 'its arguments hold a secret, which would show in ps'
  if (written.some((word) => word.includes('${'))) return 'its command has variables; write them out'
  const remote = written.some((word) => /^https?:\/\//.test(word) && !isLoopback(word, 'http:'))
  return remote ? 'trying it out would go to another machine' : null
}

function whyNotUrl({ written }: HttpServer): string | null {
  if (written.includes('${')) return 'its url has variables; write them out'
  if (!isLoopback(written, 'http:')) return 'it is on another machine'
  const { search, username, password } = new URL(written)
  return `${search}${username}${password}` === '' ? null : 'its url holds a secret; use headers'
}

function stdioPart(name: string, clients: string, { argv, env, harmless, path, cwd }: StdioServer): string {
  const copied = path === null ? harmless : { ...harmless, PATH: path }
  const names = Object.keys(env).filter((key) => /^[A-Za-z_]\w*$/.test(key))
  const secrets = names.filter((key) => !Object.hasOwn(copied, key))
  const values = names.map((key) => JSON.stringify(copied[key] ?? `\${env:${key}}`))
  const lines = [
    `    preset: mcp-stdio\n`,
    `    command: [${argv.map((word) => JSON.stringify(word)).join(', ')}]\n`,
    cwd === null ? '' : `    cwd: ${JSON.stringify(cwd)}\n`,
    names.length > 0 ? '    env:\n' : '',
    ...names.map((key, index) => `      ${key}: ${values[index]}\n`),
  ]
  const about = [
    `MCP server, registered with ${clients}. Its clients start copies of their own; PAIOS counts them and`,
    'tries out a short-lived one every 5 minutes.',
    ...notCopied(secrets),
  ]
  return `${comment(about)}  ${name}:\n${lines.join('')}`
}

function httpPart(name: string, clients: string, { written, headers }: HttpServer): string {
  const variable = (header: string) => `${name}_${header}`.toUpperCase().replace(/\W/g, '_')
  const lines = [
    `    preset: mcp-http\n`,
    `    url: ${JSON.stringify(written)}\n`,
    headers.length > 0 ? '    headers:\n' : '',
    ...headers.map((header) => `      ${JSON.stringify(header)}: "\${env:${variable(header)}}"\n`),
  ]
  const about = [
    `MCP server, registered with ${clients}, started by somebody else: PAIOS only watches it.`,
    ...notCopied(headers.map(variable)),
  ]
  return `${comment(about)}  ${name}:\n${lines.join('')}`
}

function notCopied(names: readonly string[]): string[] {
  if (names.length === 0) return []
  const lines = names.map((name) => `${name}=…`).join(', ')
  return [`What may be secret is not copied: write ${lines} into the file \`env\` here.`]
}

/** Each line behind a comment sign; a line break within one would end the comment. */
const comment = (lines: readonly string[]) =>
  lines.map((line) => `  # ${line.replace(/\p{C}/gu, '?')}\n`).join('')

/** A name that a service may have, and that is not in use yet. */
function freeName(wanted: string, names: Set<string>): string {
  const base =
    wanted
      .toLowerCase()
      .replace(/[^a-z0-9_-]+/g, '-')
      .replace(/^[-_]+|-+$/g, '') || 'mcp'
  let name = base.slice(0, 40)
  for (let count = 2; names.has(name); count++) name = `${base.slice(0, 36)}-${count}`
  names.add(name)
  return name
}
