/** An MCP server that speaks over stdin and stdout. */
import { z } from 'zod'
import { mcpExpectations } from '../schemas/mcp.ts'
import { defineService } from '../schemas/preset.ts'
import { argv } from '../schemas/service.ts'
import { pythonExits } from './python-exits.ts'

/**
 * Without `serve` it is tried out: clients such as Claude Code start copies of their own, so what can be watched is
 * whether a copy would work. A start through npx may take 10 to 30 s, hence the time-out. With `serve` one instance
 * is kept. It is asked to leave as MCP prescribes: its stdin is closed, then SIGTERM. The servers of the official SDK
 * leave within 50 ms of the first; 2 s and 3 s are for those that finish something.
 */
export const mcpStdio = defineService({
  id: 'mcp-stdio',
  summary:
    'An MCP server over stdin and stdout: tried out every 5 min, or with `serve` kept as one owned instance',
  settings: {
    command: argv,
    /** Keep one instance instead of starting one now and then. */
    serve: z.boolean().default(false),
    ...mcpExpectations,
  },
  spec: ({ command, serve, ...expected }) => {
    const tools = { kind: 'mcp', role: 'readiness', ...expected } as const
    const common = { kind: 'mcp-stdio', runbook: 'mcp-stdio.md' } as const
    if (!serve) {
      const canary = { ...tools, name: 'canary', command, every: '5m', timeout: '35s', failureThreshold: 2 }
      return { ...common, command: null, program: command[0] ?? null, probes: [canary] }
    }
    const life = { kind: 'mcp', check: 'life' } as const
    return {
      ...common,
      command,
      stdio: 'pipes',
      exits: pythonExits,
      probes: [
        // A start through npx fails often before it succeeds; the start budget (60 s) decides.
        { ...life, name: 'handshake', role: 'startup', every: '1s', timeout: '10s' },
        { ...tools, name: 'tools', every: '30s', timeout: '5s' },
        // Hung is what is silent twice in a row and not busy with a call.
        { ...life, name: 'life', role: 'liveness', every: '30s', timeout: '5s', failureThreshold: 2 },
      ],
      stop: [
        { step: 'close-stdin' },
        { step: 'wait-exit', for: '2s' },
        { step: 'signal', signal: 'SIGTERM', to: 'group' },
        { step: 'wait-exit', for: '3s' },
      ],
    }
  },
})
