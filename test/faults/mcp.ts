/** Faults of MCP servers: real ones that are killed, hang or lose their database, and one that turns hostile. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { orSkip } from '../brains.ts'
import { type Stranger, strangerOf } from '../e2e/gateway-mesh.ts'
import { createMesh, fixture } from '../e2e/mesh.ts'
import { freePort, writeDocument } from '../e2e/run-cli.ts'
import { installServers } from '../mcp-servers.ts'
import { type Fault, fresh, type Stage, watched } from './fault.ts'
import { paios, signal, up, withPhone } from './program-stage.ts'
import { defineGroup } from './runner.ts'

type McpStage = Stage & {
  readonly at: (name: string) => string
  /** How the hostile server is from its next start on: words of its fixture. */
  become(words: string): void
  strangers: Stranger[]
}
type Row = Fault<McpStage>

const often = { kind: 'mcp', every: '1s', timeout: '3s' }
const life = { ...often, check: 'life', name: 'often', role: 'liveness', failureThreshold: 2 }
const LOOK = { name: 'look', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }

async function openMcp(): Promise<McpStage | null> {
  const programs = await orSkip(installServers())
  if (programs === null) return null
  const mesh = createMesh()
  const at = (name: string) => join(mesh.home, name)
  const server = (name: string, ...args: string[]) => [process.execPath, join(programs, name), ...args]
  const port = await freePort()
  const [node = '', hostile = ''] = fixture('mcp-hostile.mjs')
  const turning = ['/bin/sh', '-c', `exec ${node} ${hostile} tools=${at('tools')} $(cat ${at('words')})`]
  const become = (words: string) => writeFileSync(at('words'), words)
  become('')
  writeFileSync(at('tools'), JSON.stringify([LOOK, { ...LOOK, name: 'add' }]))
  new Database(at('kb.db')).exec('CREATE TABLE note (text TEXT); PRAGMA journal_mode = WAL').close()
  const canary = { ...often, role: 'readiness', name: 'often', failureThreshold: 1 }
  const expected = { tools: ['look'], call: { name: 'look', expect: 'seen' } }
  const database = { kind: 'sqlite', role: 'readiness', file: at('kb.db'), every: '1s', failureThreshold: 2 }
  const http = [...server('mcp-server-everything', 'streamableHttp')]
  const services: Record<string, object> = {
    http: {
      preset: 'mcp-http',
      url: `http://127.0.0.1:${port}/mcp`,
      command: [node, '--import', fixture('loopback-only.mjs')[1], ...http.slice(1)],
      env: { PORT: String(port) },
      probes: [{ ...life, url: `http://127.0.0.1:${port}/mcp` }],
    },
    served: {
      preset: 'mcp-stdio',
      serve: true,
      command: server('mcp-server-memory'),
      env: { MEMORY_FILE_PATH: at('memory.json') },
      probes: [life],
    },
    kb: { preset: 'mcp-stdio', command: server('mcp-server-sqlite', at('kb.db')), probes: [database] },
    tried: {
      preset: 'mcp-stdio',
      command: turning,
      ...expected,
      probes: [{ ...canary, ...expected, command: turning }],
    },
  }
  for (const [name, service] of Object.entries(services)) {
    const env = { ...(service as { env?: object }).env, MESH_TAG: at(`${name}.tag`) }
    services[name] = { ...service, env }
  }
  writeDocument(mesh, JSON.stringify({ version: 1, metrics: { enabled: false }, services }))
  const bare = await withPhone(mesh, () => mesh.end())
  const stage: McpStage = {
    ...bare,
    at,
    become,
    strangers: [],
    async end() {
      for (const stranger of stage.strangers) await stranger.end()
      await bare.end()
    },
  }
  await up(stage)
  return stage
}

const become = (words: string) => async (stage: McpStage) => void stage.become(words) as undefined
const mend = become('')
const tell =
  (...names: string[]) =>
  async (stage: McpStage) =>
    void writeFileSync(
      stage.at('tools'),
      JSON.stringify(names.map((name) => ({ ...LOOK, name }))),
    ) as undefined
const REPAIR = 'mend the server; it is tried again by itself'
const HOSTILE = 'a hostile MCP server, tried every 1 s'

const kept: Row[] = [
  {
    name: 'server over HTTP that is killed',
    program: 'mcp-server-everything',
    made: 'kill -9 of its process',
    sign: { subject: 'http', event: 'exited', text: /^killed by SIGKILL$/ },
    heard: { rule: 'ServiceCrashed', about: 'http' },
    person: null,
    touches: ['http'],
    make: (stage) => signal(stage, 'http'),
    well: fresh('http'),
  },
  {
    name: 'server over HTTP that hangs',
    program: 'mcp-server-everything',
    made: 'SIGSTOP of its process; looked at every 1 s',
    sign: { subject: 'http', event: 'hung', text: /no answer in time/ },
    heard: { rule: 'ServiceHung', about: 'http' },
    person: null,
    touches: ['http'],
    make: (stage) => signal(stage, 'http', 'SIGSTOP'),
    well: fresh('http'),
  },
  {
    name: 'server over pipes that is killed',
    program: 'mcp-server-memory',
    made: 'kill -9 of its process',
    sign: { subject: 'served', event: 'exited', text: /^killed by SIGKILL$/ },
    heard: { rule: 'ServiceCrashed', about: 'served' },
    person: null,
    touches: ['served'],
    make: (stage) => signal(stage, 'served'),
    well: fresh('served'),
  },
  {
    name: 'server over pipes that hangs',
    program: 'mcp-server-memory',
    made: 'SIGSTOP of its process; looked at every 1 s',
    sign: { subject: 'served', event: 'hung', text: /tools\/list: no answer in time/ },
    heard: { rule: 'ServiceHung', about: 'served' },
    person: null,
    touches: ['served'],
    make: (stage) => signal(stage, 'served', 'SIGSTOP'),
    well: fresh('served'),
  },
  {
    name: 'database of a server that another holds',
    program: 'mcp-server-sqlite',
    made: 'a stranger holds an exclusive lock on its database; looked at every 1 s',
    sign: { service: 'kb', state: 'degraded', text: /^kb\.db: database locked by pid \d+ \(node/ },
    heard: { rule: 'ProbeFailing', about: 'kb' },
    person: 'end the holder, which is named',
    touches: [],
    make: async ({ at, strangers }) => {
      const [, path = '', ...words] = fixture('holds-database.mjs', at('kb.db'), 'BEGIN EXCLUSIVE')
      const child = spawn(process.execPath, [path, ...words], { stdio: ['ignore', 'ignore', 'inherit'] })
      strangers.push(strangerOf(child))
      return undefined
    },
    mend: ({ strangers }) => Promise.all(strangers.splice(0).map((stranger) => stranger.end())),
    well: watched('kb'),
  },
]

const tried: Row[] = [
  {
    name: 'server that does not start',
    program: HOSTILE,
    made: 'it ends with a traceback before it answers',
    sign: {
      service: 'tried',
      state: 'degraded',
      text: /^initialize: exited with code 3 before it answered: ImportError: No module named kb/,
    },
    heard: { rule: 'ProbeFailing', about: 'tried' },
    person: REPAIR,
    touches: [],
    make: become('dies'),
    mend,
    well: watched('tried'),
  },
  {
    name: 'server that says nothing',
    program: HOSTILE,
    made: 'it reads and never answers; 3 s are allowed',
    sign: { service: 'tried', state: 'degraded', text: /^initialize: no answer in time/ },
    heard: { rule: 'ProbeFailing', about: 'tried' },
    person: REPAIR,
    touches: [],
    make: become('mute'),
    mend,
    well: watched('tried'),
  },
  {
    name: 'garbage among its answers',
    program: HOSTILE,
    made: 'it prints a log line and broken JSON to its output',
    sign: { subject: 'tried', event: 'noise', text: /Server listening/ },
    heard: { nobody: 'it works; it stands in `paios status`' },
    person: 'let it log to stderr: a client may fail on it',
    touches: [],
    make: become('garbage'),
    mend,
    well: {
      what: 'a check without garbage',
      holds: async ({ mesh }) => {
        const { ready, note } = await mesh.service('tried')
        return ready && note !== null && !/noise/.test(note)
      },
    },
  },
  {
    name: 'tools that are others than accepted',
    program: HOSTILE,
    made: 'one tool is gone, and a new one is there',
    sign: {
      service: 'tried',
      state: 'degraded',
      text: /^tools changed: \+drop -add \(paios mcp accept tried\)/,
    },
    heard: { rule: 'McpToolsChanged', about: 'tried' },
    person: '`paios mcp accept`, if they are meant to be so',
    touches: [],
    make: tell('look', 'drop'),
    mend: paios('mcp accept tried'),
    well: watched('tried'),
  },
  {
    name: 'tool that is needed and gone',
    program: HOSTILE,
    made: 'the tool that `tools` names is no longer there',
    sign: { service: 'tried', state: 'degraded', text: /^tools missing: look/ },
    heard: { rule: 'ProbeFailing', about: 'tried' },
    person: REPAIR,
    touches: [],
    make: tell('drop'),
    mend: tell('look', 'drop'),
    well: watched('tried'),
  },
  {
    name: 'tools that cannot be listed',
    program: HOSTILE,
    made: 'tools/list answers with the error `database is locked`',
    sign: { service: 'tried', state: 'degraded', text: /^tools\/list: .*database is locked/ },
    heard: { rule: 'ProbeFailing', about: 'tried' },
    person: REPAIR,
    touches: [],
    make: become('list-error'),
    mend,
    well: watched('tried'),
  },
  {
    name: 'call that fails though all looks well',
    program: HOSTILE,
    made: 'the declared call answers with the error `no such table`',
    sign: { service: 'tried', state: 'degraded', text: /^call look: .*no such table/ },
    heard: { rule: 'ProbeFailing', about: 'tried' },
    person: REPAIR,
    touches: [],
    make: become('call-error'),
    mend,
    well: watched('tried'),
  },
]

/** MCP servers over pipes, over HTTP, and tried out. */
export const mcp = defineGroup('mcp', 'MCP servers', openMcp, [...kept, ...tried])
