/**
 * What makes two registrations the same server: the command with its arguments, the names of its variables
 * and the hashes of their values, and the working folder; or the URL. Values of variables never get further
 * than their hash.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'

/** The programs that register MCP servers. */
export type Client = 'claude' | 'codex' | 'openclaw'

/** A server that its client starts and talks to over pipes. */
export type StdioServer = {
  readonly kind: 'stdio'
  /** Program and arguments with variables put in; may hold secrets, so only `written` is ever shown. */
  readonly argv: readonly [string, ...string[]]
  /** The same as they stand in the file. */
  readonly written: readonly string[]
  /** Hash of each value by name. */
  readonly env: Readonly<Record<string, string>>
  /** The values that are no secret beyond doubt, such as paths and numbers. */
  readonly harmless: Readonly<Record<string, string>>
  /** The PATH that it declares for itself, null if it takes its client's. */
  readonly path: string | null
  readonly cwd: string | null
}

/** A server that is reached by URL. */
export type HttpServer = {
  readonly kind: 'http'
  readonly url: string
  readonly written: string
  /** Names of the headers that are sent along. */
  readonly headers: readonly string[]
}
export type Server = StdioServer | HttpServer

/** One entry in one file of one client. */
export type Registration = {
  readonly client: Client
  /** `user` everywhere, `local` one project in the user's own file, `project` in a file of the project. */
  readonly scope: 'user' | 'local' | 'project'
  readonly name: string
  readonly file: string
  /** The folder that it counts in, null for everywhere. */
  readonly project: string | null
  /** Why the client does not use it, null if it does. */
  readonly off: string | null
  /** True if it came with a folder and nobody has approved it: nothing of it may be started. */
  readonly isStrange: boolean
  readonly server: Server
}

/** A short hash: enough to compare, too little to guess a secret from. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** The identity of a server as 16 hexadecimal digits; equal ones are one server. */
export function identityOf(server: Server): string {
  if (server.kind === 'http') return digest(`http ${normalUrl(server.url)}`)
  const env = Object.entries(server.env).sort(([a], [b]) => (a < b ? -1 : 1))
  return digest(JSON.stringify([server.argv, env, server.cwd]))
}

/** The URL with what does not matter made equal; as it is if it is none. */
export function normalUrl(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null) return url
  if (parsed.hostname === 'localhost') parsed.hostname = '127.0.0.1'
  return parsed.href.replace(/\/$/, '')
}

/** A service of our mesh, as far as links are concerned. */
export type MeshServer = {
  readonly name: string
  readonly preset: string
  readonly argv: readonly string[] | null
  readonly url: string | null
  readonly ports: readonly number[]
  readonly cwd: string | null
  /** As in the document: a value may be a reference to a secret. */
  readonly env: Readonly<Record<string, string>>
}

/** True if a service of the mesh and a registration mean the same server; `home` is what `~/` stands for. */
export function isSameServer(server: Server, service: MeshServer, home: string): boolean {
  if (server.kind === 'http') return service.url !== null && normalUrl(service.url) === normalUrl(server.url)
  if (service.argv === null || service.argv.length !== server.argv.length) return false
  const expanded = service.argv.map((word) => (word.startsWith('~/') ? join(home, word.slice(2)) : word))
  return server.argv.every((word, index) => word === expanded[index])
}

/** The hashes of a service's variables, without those that refer to a secret. */
export function plainHashes({ env }: MeshServer): Record<string, string> {
  const plain = Object.entries(env).filter(([, value]) => !value.includes('${'))
  return Object.fromEntries(plain.map(([name, value]) => [name, digest(value)]))
}

/** Of services with the same command or URL the one whose variables fit best; null if there is none. */
export function sameService(
  server: Server,
  services: readonly MeshServer[],
  home: string,
): MeshServer | null {
  const same = services.filter((service) => isSameServer(server, service, home))
  const fit = (service: MeshServer) => {
    if (server.kind === 'http') return 0
    const hashes = Object.entries(plainHashes(service))
    return hashes.reduce((sum, [name, hash]) => sum + (server.env[name] === hash ? 1 : -1), 0)
  }
  return same.toSorted((a, b) => fit(b) - fit(a))[0] ?? null
}
