/** The register of presets. */
import { claudeCode } from './claude-code.ts'
import { codex } from './codex.ts'
import { fileWatcher } from './file-watcher.ts'
import { khoj } from './khoj.ts'
import { leon } from './leon.ts'
import { llamaServer } from './llama-server.ts'
import { mcpHttp } from './mcp-http.ts'
import { mcpStdio } from './mcp-stdio.ts'
import { nanoclaw } from './nanoclaw.ts'
import { nemoclaw } from './nemoclaw.ts'
import { ollama } from './ollama.ts'
import { openclawGateway } from './openclaw-gateway.ts'
import { paiVoice } from './pai-voice.ts'
import { process } from './process.ts'
import { pythonService } from './python-service.ts'
import { syncthing } from './syncthing.ts'

/** Every preset, by the word that a document uses in `preset:`. */
export const presets = {
  process,
  'claude-code': claudeCode,
  codex,
  'mcp-stdio': mcpStdio,
  'mcp-http': mcpHttp,
  'openclaw-gateway': openclawGateway,
  'file-watcher': fileWatcher,
  khoj,
  leon,
  'llama-server': llamaServer,
  nanoclaw,
  nemoclaw,
  ollama,
  'pai-voice': paiVoice,
  'python-service': pythonService,
  syncthing,
} as const
