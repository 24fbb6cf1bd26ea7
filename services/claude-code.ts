/**
 * Claude Code, which people start themselves: it is watched, never started. Measured with 2.1.197 on Linux; not tried
 * on macOS. Three things go wrong without a sign: the program does not start any more, a configuration file is
 * broken (settings are then ignored, `~/.claude.json` is replaced by an empty one), the login has run out.
 */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import { commonFields, type ServiceSpecInput } from '../schemas/service.ts'

const path = z.string().regex(/^~?\//, 'expected an absolute path or one that begins with ~/')

const settings = {
  /** The program; a name is looked up in PATH. */
  program: z.string().min(1).default('claude'),
  /** What CLAUDE_CONFIG_DIR is set to, where it is. */
  home: path.default('~/.claude'),
  /** How often the canary runs: 0.9 CPU-seconds each time. */
  every: commonFields.startTimeout.unwrap().prefault('15m'),
  /** `session` starts what a person starts, without a turn; `mcp` starts `claude mcp serve`. */
  mode: z.enum(['session', 'mcp']).default('session'),
  /** Whether the file of the login is looked at; false where an API key is used in its place. */
  login: z.boolean().default(true),
  /** Folders whose `.mcp.json` and `.claude/settings.json` are looked at too. */
  projects: z.array(path).max(20).default([]),
}

type Probes = NonNullable<ServiceSpecInput['probes']>
type Format = 'claude-state' | 'claude-settings' | 'mcp-json'

/** A broken file counts at once: it does not mend itself, and a change of it is seen at once. */
const configFile = (name: string, file: string, format: Format): Probes[number] => ({
  kind: 'brain-config',
  name,
  role: 'readiness',
  file,
  format,
  every: '5m',
  failureThreshold: 1,
})

/** Claude Code as people use it: canary, files and login. */
export const claudeCode = defineService({
  id: 'claude-code',
  summary: 'Claude Code: a canary that uses no login, its configuration files, the date of its login',
  settings,
  spec: ({ program, home, every, mode, login, projects }) => ({
    kind: 'session',
    command: null,
    program,
    probes: [
      {
        kind: 'claude',
        name: 'canary',
        role: 'readiness',
        program,
        mode,
        every: `${every}ms`,
        timeout: '35s',
        failureThreshold: 2,
      },
      // Where CLAUDE_CONFIG_DIR is set, the file of the servers moves into it.
      configFile('state', home === '~/.claude' ? '~/.claude.json' : `${home}/.claude.json`, 'claude-state'),
      configFile('settings', `${home}/settings.json`, 'claude-settings'),
      ...projects.flatMap((folder, index) => [
        configFile(`project-${index + 1}-mcp`, `${folder}/.mcp.json`, 'mcp-json'),
        configFile(`project-${index + 1}-settings`, `${folder}/.claude/settings.json`, 'claude-settings'),
      ]),
      ...(login
        ? ([
            {
              kind: 'credential',
              name: 'login',
              role: 'readiness',
              file: `${home}/.credentials.json`,
              format: 'claude',
              every: '5m',
              failureThreshold: 1,
            },
          ] as const)
        : []),
    ],
    install: 'npm install -g @anthropic-ai/claude-code',
    runbook: 'claude-code.md',
  }),
})
