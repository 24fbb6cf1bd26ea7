/** Everything that `paios mcp` knows, in one look: files, mesh, processes, ports. Read-only. */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Copies } from '../../probes/probe.ts'
import type { ServiceSpec } from '../../schemas/service.ts'
import { withoutNpm } from '../shell/environment.ts'
import { openProcessTable, type ProcessTable } from '../shell/process-table.ts'
import { type ArgvSource, type Copy, openArgvSource, takeCensus } from './census.ts'
import { findDeadLinks } from './dead-links.ts'
import { endOrphan } from './ending.ts'
import type { MeshServer } from './identity.ts'
import { type LookOptions, readRegistrations } from './registrations.ts'
import { makeTable, type Row, type Subject, subjectsOf } from './table.ts'

/** What was seen. `problems` are files that could not be read. */
export type Links = {
  readonly rows: readonly Row[]
  readonly problems: readonly string[]
  readonly orphans: readonly Orphan[]
}

/** A proven orphan, with what ends it. */
export type Orphan = {
  readonly row: Row
  readonly copy: Copy
  readonly end: () => ReturnType<typeof endOrphan>
}

/** `paiosHome` may not exist yet; `specs` are the mesh's services, empty where there is no document. */
export type LinksOptions = LookOptions & {
  readonly paiosHome: string
  readonly specs: readonly ServiceSpec[]
}

/** Looks once. Throws if the system would not say which processes there are. */
export async function readLinks(options: LinksOptions): Promise<Links> {
  const { home, env, paiosHome, specs } = options
  const { registrations, problems } = await readRegistrations({ home, env })
  const services = specs.map(meshServerOf)
  const subjects = subjectsOf(registrations, services, home)
  const look = censusOf(subjects, openProcessTable(), openArgvSource())
  const copies = look.copies()
  const cache = existsSync(paiosHome) ? join(paiosHome, 'cache', 'program-versions.json') : null
  const places = { path: withoutNpm(env['PATH'] ?? ''), home, cache, services }
  const used = subjects.filter(({ registrations: links }) => links.some(({ off }) => off === null))
  const faults = used.map(async ({ id, server }) => [id, await findDeadLinks(server, places)] as const)
  const rows = makeTable(subjects, copies, new Map(await Promise.all(faults)))
  const orphans = copies.filter(({ standing }) => standing.kind === 'orphan')
  return {
    rows,
    problems,
    orphans: orphans.map((copy) => ({
      copy,
      row: rows.find(({ id }) => id === copy.id)!,
      end: () => endOrphan(copy, { ...look, look: look.copies }),
    })),
  }
}

/**
 * The copies of one service that its clients have started for themselves, counted under its own command and under
 * those of all registrations that mean it.
 */
export async function countCopies(service: string, specs: readonly ServiceSpec[]): Promise<Copies> {
  const home = homedir()
  const { registrations } = await readRegistrations({ home, env: process.env })
  const subjects = subjectsOf(registrations, specs.map(meshServerOf), home)
  const own = subjects.filter((subject) => subject.service === service)
  const copies = censusOf(own, openProcessTable(), openArgvSource()).copies()
  const others = copies.filter(({ parent }) => parent?.pid !== process.pid)
  const known = others.flatMap(({ memoryBytes }) => (memoryBytes === null ? [] : [memoryBytes]))
  return {
    running: others.length,
    orphans: others.filter(({ standing }) => standing.kind === 'orphan').length,
    bytes: known.length === 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0),
  }
}

function censusOf(subjects: readonly Subject[], table: ProcessTable, source: ArgvSource) {
  const servers = subjects.flatMap(({ id, server }) => (server.kind === 'stdio' ? [{ ...server, id }] : []))
  return { table, source, copies: () => takeCensus(table, source, servers) }
}

/**
 * What a service is, as far as links are concerned: its probe knows the command or the URL of one that is
 * watched.
 */
function meshServerOf({ name, preset, kind, command, ports, probes, cwd, env }: ServiceSpec): MeshServer {
  const probe = probes.find((candidate) => candidate.kind === 'mcp')
  const isMcp = kind === 'mcp-stdio' || kind === 'mcp-http'
  const url = isMcp ? (probe?.url ?? null) : null
  const argv = isMcp && url === null ? (command ?? probe?.command ?? null) : null
  return { name, preset, argv, url, ports, cwd, env }
}
