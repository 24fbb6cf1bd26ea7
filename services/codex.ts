/**
 * Codex, which people start themselves: it is watched, never started. Measured with 0.169.0 and 0.105.0 on Linux;
 * not tried on macOS. Its own words cannot be trusted: with a broken config.toml it starts with its defaults, and
 * with a dead login it says that it is logged in.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import { commonFields } from '../schemas/service.ts'

const settings = {
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('codex'),
  /** What CODEX_HOME is set to, where it is. */
  home: z.string().regex(/^~?\//, 'expected an absolute path or one that begins with ~/').default('~/.codex'),
  /** How often the canary runs: 0.3 CPU-seconds each time. */
  every: commonFields.startTimeout.unwrap().prefault('15m'),
  /** `mcp-server` exists up to 0.105 only. */
  mode: z.enum(['app-server', 'mcp-server']).default('app-server'),
  /** Whether the file of the login is looked at; false where an API key is used in its place. */
  login: z.boolean().default(true),
}

/** Codex as people use it: canary, configuration and login. */
export const codex = defineService({
  id: 'codex',
  summary: 'Codex: a canary that uses no login, its configuration, the date of its login',
  settings,
  spec: ({ program, home, every, mode, login }) => ({
    kind: 'session',
    command: null,
    program,
    probes: [
      {
        kind: 'codex',
        name: 'canary',
        role: 'readiness',
        program,
        home,
        mode,
        every: `${every}ms`,
        timeout: '35s',
        failureThreshold: 2,
      },
      // A broken file does not mend itself, and a change of it is seen at once.
      {
        kind: 'brain-config',
        name: 'config',
        role: 'readiness',
        file: `${home}/config.toml`,
        format: 'codex-config',
        every: '5m',
        failureThreshold: 1,
      },
      ...(login
        ? ([
            {
              kind: 'credential',
              name: 'login',
              role: 'readiness',
              file: `${home}/auth.json`,
              format: 'codex',
              every: '5m',
              failureThreshold: 1,
            },
          ] as const)
        : []),
    ],
    install: 'npm install -g @openai/codex',
    runbook: 'codex.md',
  }),
})
