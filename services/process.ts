/** Any program that stays in the foreground. */
import { defineService } from '../schemas/preset.ts'
import { argv } from '../schemas/service.ts'
import { brainExits } from './brain-exits.ts'

/**
 * A plain program: nothing is known of it but its exit, so it counts as ready once it runs. Many of these are scripts
 * that run a turn of Claude Code or Codex, so the ends of those are known.
 */
export const process = defineService({
  id: 'process',
  summary: 'Any program that stays in the foreground; watched by its exit only',
  settings: { command: argv },
  spec: ({ command }) => ({ kind: 'daemon', command, exits: brainExits, runbook: 'process.md' }),
})
