/** The MCP servers of others that the tests run: pinned versions, installed once beside the brains. */
import { join } from 'node:path'
import { cacheRoot, install } from './brains.ts'

const OFFICIAL = '2026.8.31'
const SCOPE = '@modelcontextprotocol'

const packages = {
  dependencies: {
    [`${SCOPE}/server-everything`]: OFFICIAL,
    [`${SCOPE}/server-memory`]: OFFICIAL,
    [`${SCOPE}/server-filesystem`]: OFFICIAL,
    [`${SCOPE}/server-sequential-thinking`]: OFFICIAL,
    [`${SCOPE}/server`]: '2.4.0',
    'mcp-server-sqlite': '0.0.2',
  },
  // The version that it asks for would have to be compiled; this one brings its binary.
  overrides: { 'better-sqlite3': '13.2.0' },
}

/** Installs the servers and resolves to the folder of their programs. */
export async function installServers(): Promise<string> {
  const folder = join(cacheRoot(), `mcp-servers@${OFFICIAL}`)
  const programs = join(folder, 'node_modules', '.bin')
  await install(folder, 'mcp-servers', OFFICIAL, join(programs, 'mcp-server-everything'), packages)
  return programs
}
