/**
 * The voice server of Personal AI Infrastructure 4.0.3, the only part of it that runs all the time. Tested against a
 * fake written from its source, not against the program. Every path answers 200, so only the body of `/health` counts.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import type { ServiceSpecInput } from '../schemas/service.ts'
import { homePath, observedIf, type Page, portFree, portNumber } from './listening.ts'

const settings = {
  port: portNumber.default(8888),
  /** The folder of server.ts. */
  folder: homePath.default('~/.claude/VoiceServer'),
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('bun'),
  /** False where it is meant to run without a key, for notifications only. */
  voice: z.boolean().default(true),
  /** launchd runs it as com.pai.voice-server: it is probed only. */
  observe: z.boolean().default(false),
}

function probes(port: number, voice: boolean): NonNullable<ServiceSpecInput['probes']> {
  const body = [
    { path: 'status', equals: 'healthy' },
    { path: 'port', equals: port },
  ]
  const health: Page = { kind: 'http', port, path: '/health', body }
  const key = { path: 'api_key_configured', equals: true }
  return [
    portFree(port),
    { ...health, name: 'startup', role: 'startup', every: '1s' },
    { ...health, name: 'live', role: 'liveness', every: '10s' },
    {
      ...health,
      name: 'voice',
      role: 'readiness',
      body: voice ? [...body, key] : body,
      every: '30s',
    },
  ]
}

/** The voice server; its key for ElevenLabs stays where it reads it, in `~/.env`, or comes by `env`. */
export const paiVoice = defineService({
  id: 'pai-voice',
  summary: 'The voice server of Personal AI Infrastructure: judged by the body of its health page',
  settings,
  spec: ({ port, folder, program, voice, observe }) =>
    observedIf(observe, {
      kind: 'daemon',
      command: [program, 'run', 'server.ts'],
      cwd: folder,
      env: { PORT: String(port) },
      probes: probes(port, voice),
      exits: [
        {
          code: 1,
          log: 'EADDRINUSE|Is port \\d+ in use',
          class: 'failure',
          reason: 'its port is held by another program',
        },
        {
          code: 1,
          log: 'Module not found "([^"]+)"|Cannot find (?:module|package) ["\']([^"\']+)',
          class: 'fatal',
          reason: 'a file or package of its is missing: $1$2',
        },
      ],
      install: 'bun from bun.sh; the server comes with Personal AI Infrastructure',
      ports: [port],
      runbook: 'pai-voice.md',
    }),
})
