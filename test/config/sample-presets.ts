/** Small presets for tests of the document, so that these do not depend on what the real ones decide. */
import { z } from 'zod'
import { defineService } from '../../schemas/preset.ts'
import { argv } from '../../schemas/service.ts'
import { type MeshConfig, parseMesh } from '../../supervisor/config.ts'
import { formatProblem, type Problem } from '../../supervisor/document/problem.ts'

const port = z.int().min(1).max(65_535)
const env = z.record(z.string(), z.string())

const session = <Id extends string>(id: Id, program: string) =>
  defineService({
    id,
    summary: 'A brain that people start.',
    settings: {},
    spec: () => ({ kind: 'session', command: null, program, runbook: `${id}.md` }),
  })

/** The register: a process, an MCP server over pipes, a gateway and two sessions. */
export const presets = {
  process: defineService({
    id: 'process',
    summary: 'A program of your own.',
    settings: { command: argv, env: env.optional(), cwd: z.string().optional(), port: port.optional() },
    spec: (settings) => ({
      kind: 'daemon',
      command: settings.command,
      cwd: settings.cwd,
      env: settings.env,
      ports: settings.port === undefined ? [] : [settings.port],
      runbook: 'process.md',
    }),
  }),
  'mcp-stdio': defineService({
    id: 'mcp-stdio',
    summary: 'An MCP server.',
    settings: { command: argv, serve: z.boolean().default(false) },
    spec: (settings) => ({
      kind: 'mcp-stdio',
      command: settings.command,
      stdio: 'pipes',
      runbook: 'mcp-stdio.md',
    }),
  }),
  'openclaw-gateway': defineService({
    id: 'openclaw-gateway',
    summary: 'The OpenClaw gateway.',
    settings: { port: port.default(18_789), observe: z.boolean().default(false) },
    spec: (settings, { home }) => {
      if (settings.observe && settings.port === 1) throw new Error('port 1 cannot be observed')
      return {
        kind: 'daemon',
        command: settings.observe ? null : ['openclaw', 'gateway', 'run', '--port', String(settings.port)],
        env: { OPENCLAW_HOME: home, LEVEL: 'info' },
        ports: [settings.port],
        stop: [{ step: 'signal', signal: 'SIGTERM' }],
        probes: [{ kind: 'tcp', port: settings.port, role: 'liveness' }],
        intensity: { max: 3, within: '10m' },
        runbook: 'openclaw-gateway.md',
      }
    },
  }),
  'claude-code': session('claude-code', 'claude'),
  codex: session('codex', 'codex'),
} as const

/** Parses with the sample presets and the home /home/op. */
export const parse = (text: string | Uint8Array) => parseMesh(text, { home: '/home/op', presets })

/** The problems of a document, each as an operator sees it. */
export function problemsOf(text: string | Uint8Array): string[] {
  const result = parse(text)
  return result.ok ? [] : lines(result.problems)
}

/** Problems as lines of text. */
export const lines = (problems: readonly Problem[]): string[] =>
  problems.map((problem) => formatProblem('paios.yaml', problem))

/** The mesh of a document that must be valid. */
export function meshOf(text: string): MeshConfig {
  const result = parse(text)
  if (!result.ok) throw new Error(lines(result.problems).join('\n'))
  return result.mesh
}
