/** An MCP server that speaks over stdin and stdout. */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import { argv } from '../schemas/service.ts'

/**
 * One owned instance. It is asked to leave as MCP prescribes: its stdin is closed, then SIGTERM. The servers
 * of the official SDK leave within 50 ms of the first; 2 s and 3 s are for those that finish something.
 */
export const mcpStdio = defineService({
  id: 'mcp-stdio',
  summary: 'An MCP server over stdin and stdout, kept as one owned instance',
  settings: {
    command: argv,
    serve: z.literal(true, { error: 'must be `true`: an owned instance is the only form there is' }),
  },
  spec: ({ command }) => ({
    kind: 'mcp-stdio',
    command,
    stdio: 'pipes',
    // A start through npx may take 10 to 30 s, so a check may fail often; the start budget (60 s) decides.
    probes: [{ kind: 'mcp', name: 'handshake', role: 'startup', every: '1s', timeout: '10s' }],
    stop: [
      { step: 'close-stdin' },
      { step: 'wait-exit', for: '2s' },
      { step: 'signal', signal: 'SIGTERM', to: 'group' },
      { step: 'wait-exit', for: '3s' },
    ],
    runbook: 'mcp-stdio.md',
  }),
})
