/** The register of probe kinds. */
import { config } from './config.ts'
import { exec } from './exec.ts'
import { http } from './http.ts'
import { lock } from './lock.ts'
import { log } from './log.ts'
import { mcp } from './mcp.ts'
import { memory } from './memory.ts'
import { port } from './port.ts'
import { tcp } from './tcp.ts'
import { ws } from './ws.ts'

/** Every probe kind, by the word that a document uses in `kind:`. */
export const probeKinds = { config, exec, http, lock, log, mcp, memory, port, tcp, ws } as const
