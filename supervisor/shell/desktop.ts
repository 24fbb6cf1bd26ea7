/**
 * A notification on the screen of this machine, by the program that the system has for it. Texts are arguments of that
 * program, never part of a script: what a service has printed is run by nobody.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Notice } from '../core/alert.ts'
import type { Channel, Outcome } from './channel.ts'
import { declaredEnvironment, resolveProgram, servicePath } from './environment.ts'
import type { ProbePrograms } from './probe-programs.ts'
import { cut, escapeHtml } from './telegram-text.ts'

const OSASCRIPT = '/usr/bin/osascript'
const SCRIPT = [
  'on run argv',
  'display notification (item 2 of argv) with title (item 1 of argv) sound name "Basso"',
  'end run',
]
/** More is not shown. */
const TITLE_MAX = 120
const TEXT_MAX = 400
const TIMEOUT_MS = 10_000

/** How a notification is shown here, or why none is. */
export type Desktop =
  | {
      readonly kind: 'found'
      readonly env: Readonly<Record<string, string>>
      argv(title: string, text: string): string[]
    }
  | { readonly kind: 'absent'; readonly reason: string }

/** Looks for a way to show one: macOS has it, Linux with notify-send and the bus of a session. */
export function findDesktop(
  platform: NodeJS.Platform = process.platform,
  env: NodeJS.ProcessEnv = process.env,
): Desktop {
  if (platform === 'darwin') {
    const script = SCRIPT.flatMap((line) => ['-e', line])
    return { kind: 'found', env: {}, argv: (title, text) => [OSASCRIPT, ...script, title, text] }
  }
  const program = resolveProgram({ command: ['notify-send'], program: null, cwd: null }, servicePath())
  if (program.kind !== 'found') return { kind: 'absent', reason: program.reason }
  const socket = join(env['XDG_RUNTIME_DIR'] ?? `/run/user/${process.getuid?.()}`, 'bus')
  const bus = env['DBUS_SESSION_BUS_ADDRESS'] ?? (existsSync(socket) ? `unix:path=${socket}` : null)
  if (bus === null) return { kind: 'absent', reason: 'there is no bus of a session' }
  return {
    kind: 'found',
    env: { DBUS_SESSION_BUS_ADDRESS: bus },
    // The servers of some desktops take the text for markup.
    argv: (title, text) => {
      const flags = ['--urgency=critical', '--app-name=PAIOS']
      return [program.path, ...flags, '--', title, escapeHtml(text)]
    },
  }
}

/** The screen as a channel that stands in for others; null where there is none. */
export function desktopChannel(programs: ProbePrograms, desktop: Desktop = findDesktop()): Channel | null {
  if (desktop.kind !== 'found') return null
  return {
    ...{ name: 'desktop', gapMs: 1_000, isStandby: true, trouble: 'the desktop shows no notification' },
    async deliver({ body }, _, signal): Promise<Outcome> {
      const { title, lines } = JSON.parse(body) as Notice
      const argv = desktop.argv(cut(`PAIOS: ${title}`, TITLE_MAX), cut(lines.join('\n'), TEXT_MAX))
      const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
      const place = { env: declaredEnvironment(desktop.env, {}), cwd: homedir() }
      try {
        const ended = await programs.run(argv, { ...place, signal: limit })
        if (ended.code === 0) return { kind: 'sent', remote: null, bug: null }
        const said = ended.stderr.trim().split('\n').at(-1)?.slice(0, 200)
        return { kind: 'failed', reason: 'server', text: said || `exit ${ended.code ?? ended.signal}` }
      } catch (error) {
        return { kind: 'failed', reason: 'server', text: (error as Error).message }
      }
    },
    // Nobody knows what it would do without a message.
    check: async () => ({ kind: 'wait', ms: 0 }),
  }
}
