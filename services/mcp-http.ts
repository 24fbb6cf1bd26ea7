/** An MCP server that speaks streamable HTTP on this machine. */
import { mcpAddress, mcpExpectations } from '../schemas/mcp.ts'
import { defineService } from '../schemas/preset.ts'
import { argv } from '../schemas/service.ts'

/**
 * With `command` a daemon that is kept alive, without it one that another keeps and that is only watched. Three
 * checks in a row must fail before it is restarted, since one that was late is no proof; one that wants another
 * login is never restarted for it.
 */
export const mcpHttp = defineService({
  id: 'mcp-http',
  summary: 'An MCP server over streamable HTTP on this machine, kept alive or (without `command`) watched',
  settings: { command: argv.optional(), ...mcpAddress, ...mcpExpectations },
  spec: ({ command, url, headers, ...expected }) => {
    const server = { kind: 'mcp', url, headers } as const
    const tools = {
      ...server,
      ...expected,
      name: 'tools',
      role: 'readiness',
      every: '30s',
      timeout: '5s',
    } as const
    const common = { kind: 'mcp-http', runbook: 'mcp-http.md' } as const
    if (command === undefined) return { ...common, command: null, probes: [tools] }
    const port = Number(new URL(url).port || 80)
    const life = { ...server, check: 'life' } as const
    return {
      ...common,
      command,
      ports: [port],
      probes: [
        {
          kind: 'port',
          name: 'port-free',
          role: 'preflight',
          port,
          expect: 'free',
          every: '1m',
          timeout: '10s',
        },
        // A start through npx fails often before it succeeds; the start budget (60 s) decides.
        { ...life, name: 'handshake', role: 'startup', every: '1s', timeout: '5s' },
        tools,
        { ...life, name: 'life', role: 'liveness', every: '30s', timeout: '5s' },
      ],
    }
  },
})
