/**
 * A user's home for docs/examples/paios-mesh.yaml with the real programs in it, as far as they can be had here. Only the
 * ports are others than in the file.
 */
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import {
  CODEX_VERSION,
  freePort,
  gatewayHome,
  installBrains,
  installClaude,
  installCodex,
  OLD_CODEX_VERSION,
  orSkip,
} from '../brains.ts'
import { findDebian } from '../debian.ts'
import { installServers } from '../mcp-servers.ts'
import { makeHome } from '../syncthing.ts'
import { CLAUDE_LOGIN, CODEX_LOGIN } from './session-mesh.ts'

const EXAMPLE = join(import.meta.dirname, '../../docs/examples/paios-mesh.yaml')
const INBOX = `import { writeFileSync } from 'node:fs'
const beat = () => writeFileSync(process.env.PAIOS_HEARTBEAT, '')
beat()
setInterval(beat, 500)
`

/** The programs of the example by the names that it calls them; null for one that cannot be had here. */
export async function installExample(): Promise<Record<string, string | null>> {
  const servers = await orSkip(installServers())
  const server = (name: string) => servers && join(servers, name)
  return {
    openclaw: await orSkip(installBrains()),
    claude: await orSkip(installClaude()),
    codex: await orSkip(installCodex(CODEX_VERSION)),
    'codex-old': await orSkip(installCodex(OLD_CODEX_VERSION)),
    'mcp-server-sqlite': server('mcp-server-sqlite'),
    'mcp-server-memory': server('mcp-server-memory'),
    'mcp-server-everything': server('mcp-server-everything'),
    syncthing: findDebian('syncthing', 'syncthing'),
    node: process.execPath,
  }
}

/** What was laid out. */
export type ExampleHome = {
  /** The document, with ports of this run. */
  readonly document: string
  /** What `paios` is to run with. */
  readonly env: Readonly<Record<string, string>>
  /** The gateway's configuration as it was written. */
  readonly config: object
  /** A path below the user's home. */
  at(...path: string[]): string
  /** Writes a file below the user's home, 0600. */
  put(path: string, content: string | object): string
}

/** Lays out the user's home. The gateway, Syncthing and the HTTP server get ports that were free a moment ago. */
export async function layOutExample(
  user: string,
  programs: Readonly<Record<string, string | null>>,
): Promise<ExampleHome> {
  const at = (...path: string[]) => join(user, ...path)
  const put = (path: string, content: string | object) => {
    const file = at(path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 })
    return file
  }
  mkdirSync(at('bin'), { recursive: true })
  for (const [name, path] of Object.entries(programs)) if (path !== null) symlinkSync(path, at('bin', name))
  const ports = { 18789: await freePort(), 8384: await freePort(), 3001: await freePort() }
  let document = readFileSync(EXAMPLE, 'utf8')
  for (const [port, own] of Object.entries(ports)) document = document.replaceAll(port, String(own))
  // Its own log would bring the folder back that is removed here.
  const logging = { file: at('.openclaw', 'gateway.log') }
  const gateway = await gatewayHome({ port: ports[18789], config: { logging } })
  await gateway.remove()
  put('.openclaw/openclaw.json', gateway.config)
  chmodSync(at('.openclaw'), 0o700)
  put('.claude.json', { mcpServers: {}, projects: {} })
  put('.claude/.credentials.json', CLAUDE_LOGIN)
  put('.codex/auth.json', { ...CODEX_LOGIN, last_refresh: new Date().toISOString() })
  put('.codex/config.toml', 'model = "gpt-5"\n')
  mkdirSync(at('kb'))
  new Database(at('kb', 'kb.db')).exec('CREATE TABLE note (text TEXT); PRAGMA journal_mode = WAL').close()
  mkdirSync(at('notes', 'inbox'), { recursive: true })
  put('bin/inbox.mjs', INBOX)
  chmodSync(put('bin/tell', `#!/bin/sh\ncat >> ${at('told')}\n`), 0o755)
  if (programs['syncthing'])
    makeHome(programs['syncthing'], at('.local', 'state', 'syncthing'), await freePort())
  const env = {
    HOME: user,
    PATH: `${at('bin')}:/usr/bin:/bin`,
    OPENCLAW_STATE_DIR: '',
    OPENCLAW_CONFIG_PATH: '',
  }
  return { document, env, config: gateway.config, at, put }
}
