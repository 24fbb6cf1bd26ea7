/** What a document may say of an MCP server, whatever way it is reached: settings of presets that the probe gets. */
import { mcp } from '../probes/mcp.ts'
import { schemas } from './units.ts'

const { tools, call, url, headers } = mcp.shape(schemas)

/** The tools that it must have, and a call to try. */
export const mcpExpectations = { tools, call } as const

/** Where a server listens on this machine, and what is sent along, such as a token. */
export const mcpAddress = { url: url.unwrap(), headers } as const
