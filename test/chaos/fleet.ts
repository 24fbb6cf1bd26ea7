/** The children that chaos runs on: what each kind does, and what must hold for it after the supervisor's death. */
import { resolve } from 'node:path'
import { freePort } from '../brains.ts'
import { type Declared, fixture } from '../e2e/mesh.ts'

/** What a service of the fleet is. `crashing` ends by itself now and then; `pipes` dies with the supervisor. */
export type Kind =
  | 'plain'
  | 'deaf'
  | 'daemonizes'
  | 'crashing'
  | 'exec'
  | 'slow-stop'
  | 'wrapper'
  | 'pipes'
  | 'tcp'

export type Fleet = {
  readonly services: Readonly<Record<string, Declared>>
  readonly kinds: ReadonlyMap<string, Kind>
}

/** Marks the programs that exec probes run, so that they are not taken for the service itself. */
export const PROBE_MARK = 'chaos-probe'

const MEMORY_SERVER = resolve(
  import.meta.dirname,
  '../../node_modules/@modelcontextprotocol/server-memory/dist/index.js',
)
const LINE_UP: readonly Kind[] = [
  'plain',
  'plain',
  'plain',
  'deaf',
  'daemonizes',
  'crashing',
  'exec',
  'slow-stop',
  'wrapper',
  'tcp',
]
const PIPES = 2
/** Chaos kills far more than the budget of a calm day allows. */
const COMMON = { intensity: { max: 1000, within: '1m' } }

const stopAfter = (wait: string) => [
  { step: 'signal', signal: 'SIGTERM' },
  { step: 'wait-exit', for: wait },
]

/** A fleet of `size` services in a fixed mix; the first two with index 9, 19 are MCP servers over owned pipes. */
export async function createFleet(size: number, home: string): Promise<Fleet> {
  const services: Record<string, Declared> = {}
  const kinds = new Map<string, Kind>()
  for (let index = 0; index < size; index++) {
    const slot = LINE_UP[index % LINE_UP.length]!
    const kind = slot === 'tcp' && index < PIPES * LINE_UP.length ? 'pipes' : slot
    const name = `${kind}-${index}`
    kinds.set(name, kind)
    services[name] = { ...COMMON, ...(await declare(kind, index, home)) }
  }
  return { services, kinds }
}

async function declare(kind: Kind, index: number, home: string): Promise<Declared> {
  switch (kind) {
    case 'plain':
      return { command: fixture('plain.sh') }
    case 'deaf':
      return { command: fixture('deaf.sh'), stop: stopAfter('300ms') }
    case 'daemonizes':
      return { command: fixture('daemonizes.mjs', 'marked', '0') }
    case 'crashing':
      return { command: fixture('crash-after.sh', String(2 + (index % 7))) }
    case 'exec': {
      const command = ['/bin/sh', '-c', 'exit 0', PROBE_MARK]
      return {
        command: fixture('plain.sh'),
        probes: [{ kind: 'exec', role: 'readiness', every: '1s', command }],
      }
    }
    case 'slow-stop':
      return { command: fixture('slow-stop.sh', '0.4'), stop: stopAfter('3s') }
    case 'wrapper':
      return { command: fixture('clean-exec.sh') }
    case 'pipes': {
      const env = { MEMORY_FILE_PATH: `${home}/memory-${index}.json` }
      return { preset: 'mcp-stdio', serve: true, command: [process.execPath, MEMORY_SERVER], env }
    }
    case 'tcp': {
      const port = await freePort()
      const probe = { kind: 'tcp', role: 'startup', every: '200ms', port }
      return { command: fixture('listens.mjs', String(port)), probes: [probe] }
    }
  }
}
