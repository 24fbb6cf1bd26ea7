/** Servers, who has registered them, and what runs of them: one row per server, as pure functions. */
import type { Copy } from './census.ts'
import {
  type Client,
  identityOf,
  type MeshServer,
  plainHashes,
  type Registration,
  type Server,
  sameService,
} from './identity.ts'
import { showArgv, showUrl } from './redaction.ts'

/** A registration as it is shown. */
export type Link = {
  readonly client: Client
  readonly scope: Registration['scope']
  readonly name: string
  readonly file: string
  readonly project: string | null
  readonly off: string | null
}

/** One server. Nothing in it is a secret: commands and URLs are as they may be shown. */
export type Row = {
  readonly id: string
  /** The name that most registrations give it. */
  readonly name: string
  readonly kind: Server['kind']
  readonly target: string
  readonly env: readonly string[]
  readonly headers: readonly string[]
  readonly cwd: string | null
  readonly links: readonly Link[]
  /** The service of our mesh that is the same server, null if none is. */
  readonly service: string | null
  readonly copies: readonly CopyRow[]
  readonly memoryBytes: number | null
  readonly memoryMeasure: 'pss' | 'rss' | null
  /** Why it leads nowhere, `CLIENTS -> NAME: …` each. */
  readonly dead: readonly string[]
}

/** A running copy as it is shown. */
export type CopyRow = {
  readonly pid: number
  readonly pids: readonly number[]
  readonly parent: Copy['parent']
  readonly client: Copy['client']
  readonly standing: Copy['standing']['kind']
  readonly why: string
  readonly startedAt: string | null
  readonly memoryBytes: number | null
  readonly memoryMeasure: Copy['measure']
}

/** A server with everybody who means it; the first step of the table. */
export type Subject = {
  readonly id: string
  readonly server: Server
  readonly registrations: readonly Registration[]
  readonly service: string | null
}

/** One subject per server: the registered ones, then those that only our mesh has. */
export function subjectsOf(
  registrations: readonly Registration[],
  services: readonly MeshServer[],
  home: string,
): Subject[] {
  const groups = Map.groupBy(registrations, ({ server }) => identityOf(server))
  const subjects = [...groups].map(([id, members]): Subject => {
    const { server } = members[0]!
    const service = sameService(server, services, home)
    return { id, server, registrations: members, service: service?.name ?? null }
  })
  const linked = new Set(subjects.map(({ service }) => service))
  const own = services.flatMap((service): Subject[] => {
    const server = serverOf(service, home)
    if (server === null || linked.has(service.name)) return []
    return [{ id: identityOf(server), server, registrations: [], service: service.name }]
  })
  return [...subjects, ...own]
}

function serverOf(service: MeshServer, home: string): Server | null {
  const { argv, url, cwd } = service
  if (url !== null) return { kind: 'http', url, written: url, headers: [] }
  const [program, ...args] = (argv ?? []).map((word) => word.replace(/^~\//, `${home}/`))
  if (program === undefined) return null
  const command = [program, ...args] as const
  return {
    kind: 'stdio',
    argv: command,
    written: command,
    env: plainHashes(service),
    harmless: {},
    path: null,
    cwd,
  }
}

/** The rows, by name. `dead` gives the faults of a subject by its id. */
export function makeTable(
  subjects: readonly Subject[],
  copies: readonly Copy[],
  dead: ReadonlyMap<string, readonly string[]>,
): Row[] {
  const running = Map.groupBy(copies, ({ id }) => id)
  const rows = subjects.map((subject) =>
    rowOf(subject, running.get(subject.id) ?? [], dead.get(subject.id) ?? []),
  )
  return rows.sort((a, b) => compare(a.name, b.name) || compare(a.id, b.id))
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

function rowOf(subject: Subject, running: readonly Copy[], faults: readonly string[]): Row {
  const { id, server, registrations, service } = subject
  const copies = running.map(showCopy)
  const known = copies.flatMap(({ memoryBytes }) => (memoryBytes === null ? [] : [memoryBytes]))
  const isStdio = server.kind === 'stdio'
  const name = nameOf(subject)
  return {
    id,
    name,
    kind: server.kind,
    target: isStdio ? showArgv(server.written) : showUrl(server.written),
    env: isStdio ? Object.keys(server.env).sort() : [],
    headers: isStdio ? [] : server.headers,
    cwd: isStdio ? server.cwd : null,
    links: registrations.map(({ server: _, isStrange: __, ...link }) => link),
    service,
    copies,
    memoryBytes: known.length === 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0),
    memoryMeasure:
      known.length === 0
        ? null
        : copies.every(({ memoryMeasure }) => memoryMeasure === 'pss')
          ? 'pss'
          : 'rss',
    dead: faults.map((fault) => `${whoOf(subject)} -> ${name}: ${fault}`),
  }
}

function nameOf({ registrations, service, id }: Subject): string {
  const counts = Map.groupBy(registrations, ({ name }) => name)
  const [most] = [...counts].sort(([a, x], [b, y]) => y.length - x.length || compare(a, b))
  return most?.[0] ?? service ?? id
}

const whoOf = ({ registrations }: Subject) =>
  [...new Set(registrations.filter(({ off }) => off === null).map(({ client }) => client))].join(', ') ||
  'paios'

/** A copy without its arguments, which may hold what the registration does not show. */
export function showCopy(copy: Copy): CopyRow {
  const { pid, members, parent, client, standing, startedAt, memoryBytes, measure } = copy
  return {
    pid,
    pids: members.map((member) => member.pid),
    parent,
    client,
    standing: standing.kind,
    why: standing.why,
    startedAt: startedAt === null ? null : new Date(startedAt).toISOString(),
    memoryBytes,
    memoryMeasure: measure,
  }
}

/** The rows that a name means: any name that a client gave, the service's, or the beginning of the id. */
export function rowsNamed(rows: readonly Row[], name: string): Row[] {
  const exact = rows.filter(
    (row) => row.name === name || row.service === name || row.links.some((link) => link.name === name),
  )
  return exact.length > 0 || name.length < 4 ? exact : rows.filter(({ id }) => id.startsWith(name))
}
