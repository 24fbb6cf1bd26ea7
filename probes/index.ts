/** The register of probe kinds. */
import { brainConfig } from './brain-config.ts'
import { claude } from './claude.ts'
import { codex } from './codex.ts'
import { config } from './config.ts'
import { credential } from './credential.ts'
import { disk } from './disk.ts'
import { exec } from './exec.ts'
import { file } from './file.ts'
import { heartbeat } from './heartbeat.ts'
import { http } from './http.ts'
import { lock } from './lock.ts'
import { log } from './log.ts'
import { mcp } from './mcp.ts'
import { memory } from './memory.ts'
import { port } from './port.ts'
import { processes } from './processes.ts'
import { socket } from './socket.ts'
import { sqlite } from './sqlite.ts'
import { tcp } from './tcp.ts'
import { ws } from './ws.ts'

/** Every probe kind, by the word that a document uses in `kind:`. */
export const probeKinds = {
  'brain-config': brainConfig,
  claude,
  codex,
  config,
  credential,
  disk,
  exec,
  file,
  heartbeat,
  http,
  lock,
  log,
  mcp,
  memory,
  port,
  processes,
  socket,
  sqlite,
  tcp,
  ws,
} as const
