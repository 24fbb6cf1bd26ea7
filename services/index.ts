/** The register of presets. */
import { mcpStdio } from './mcp-stdio.ts'
import { openclawGateway } from './openclaw-gateway.ts'
import { process } from './process.ts'

/** Every preset, by the word that a document uses in `preset:`. */
export const presets = { process, 'mcp-stdio': mcpStdio, 'openclaw-gateway': openclawGateway } as const
