/** The document that `up` starts from: the operator's own, or a first one for what is on this machine. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { MeshConfig } from '../config.ts'
import type { Found } from '../discovery.ts'
import { PaiosError } from '../errors.ts'
import { checkDocument, checkText, documentPath, validMesh } from './document.ts'

/**
 * The mesh of the home's document. Where there is none, looks around on this machine, says through `tell`
 * what it found, and writes a first document unless `mayWrite` is false. Throws PaiosError with every problem
 * of a document that is not valid.
 */
export async function firstOrOwnMesh(
  home: string,
  mayWrite: boolean,
  tell: (text: string) => void,
): Promise<MeshConfig> {
  const path = documentPath(home)
  if (existsSync(path)) return validMesh(path, await checkDocument(path))
  const { createDocument, discover, firstDocument } = await import('../discovery.ts')
  const found = await discover({ home: homedir(), path: process.env['PATH'] ?? '', env: process.env })
  const { subjects, problems, servers } = await registeredServers()
  for (const line of [...findings(found), ...serverFindings(subjects)]) tell(`found ${line}\n`)
  for (const problem of problems) tell(`passed over ${problem}\n`)
  const memoryFile = join(home, 'state', 'memory.jsonl')
  const text = firstDocument(found, { memoryServer: memoryServer(), memoryFile, servers })
  if (!mayWrite) {
    tell(`there is no ${path}; paios up would write this one:\n${text}\n`)
    return validMesh(path, await checkText(text))
  }
  const isNew = await createDocument(path, text)
  if (isNew) tell(`wrote a first ${path}\n`)
  return validMesh(path, await checkDocument(path))
}

/** Names that the first document uses beside those of registered servers. */
const TAKEN = ['gateway', 'notes', 'claude', 'codex']

/** The MCP servers that clients have registered, and the services that they become. */
async function registeredServers() {
  const [{ readRegistrations }, { subjectsOf }, { serversPart }] = await Promise.all([
    import('../links/registrations.ts'),
    import('../links/table.ts'),
    import('../links/first-servers.ts'),
  ])
  const { registrations, problems } = await readRegistrations({ home: homedir(), env: process.env })
  const subjects = subjectsOf(registrations, [], homedir())
  return { subjects: subjects.length, problems, servers: serversPart(subjects, TAKEN) }
}

const serverFindings = (count: number) =>
  count === 0 ? [] : [`MCP servers that clients have registered: ${count} (paios mcp lists them)`]

/** What discovery saw, a line each. */
function findings({ programs, gateway }: Found): string[] {
  const lines = Object.entries(programs).map(([name, path]) =>
    path === null ? `no ${name}` : `${name}: ${path}`,
  )
  if (gateway.answering)
    lines.push(`a gateway that answers on port ${gateway.port}: it is watched, not started`)
  if (gateway.owner !== null) lines.push(`the gateway's ${gateway.owner.kind} file: ${gateway.owner.file}`)
  return lines
}

/** A path in a versioned copy, by way of the version in force, since an upgrade removes old copies. */
const lasting = (path: string) =>
  path.replace(/\/versions\/[^/]+\/(?=bin\/node$|app\/)/, '/versions/current/')

/** How the memory server that ships with PAIOS is run: by this Node, since it may be the only one here. */
function memoryServer(): string[] {
  try {
    const manifest = createRequire(import.meta.url).resolve(
      '@modelcontextprotocol/server-memory/package.json',
    )
    return [process.execPath, join(dirname(manifest), 'dist', 'index.js')].map(lasting)
  } catch (cause) {
    throw new PaiosError(
      'runtime-missing',
      'the memory server that ships with paios is missing: install paios again',
      {
        cause,
      },
    )
  }
}
