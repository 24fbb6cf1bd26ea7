/** What a canary asks a brain that serves MCP over stdio: the handshake, a ping and its tools. */
import type { Talk } from './canary.ts'
import { DialogueFault } from './dialogue.ts'
import { valueAt } from './dotted-path.ts'
import { textAt } from './json.ts'

const PROTOCOL_VERSION = '2025-06-18'

/** Shakes hands, pings and counts the tools. Throws DialogueFault. */
export async function talkMcp({ ask, tell, step }: Talk): Promise<void> {
  const params = {
    protocolVersion: PROTOCOL_VERSION,
    capabilities: {},
    clientInfo: { name: 'paios', version: '1' },
  }
  const hello = await step('initialize', () => ask('initialize', params))
  if (textAt(valueAt(hello, 'serverInfo'), 'name') === null)
    throw new DialogueFault('initialize: the answer names no server')
  tell({ jsonrpc: '2.0', method: 'notifications/initialized' })
  await step('ping', () => ask('ping'))
  const listed = async () => {
    const tools = valueAt(await ask('tools/list'), 'tools')
    return Array.isArray(tools) ? tools.length : 0
  }
  const count = await step('tools/list', listed, (tools) => `${tools} tools`)
  if (count === 0) throw new DialogueFault('tools/list: no tool')
}
