/** `paios install`. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { InstallPlan } from '../boot/install.ts'
import { PaiosError } from '../errors.ts'
import { bootSetting } from './boot-setting.ts'
import { withChangeLock } from './change-lock.ts'
import type { Command, Invocation } from './command.ts'
import { documentPath } from './document.ts'

/** Has systemd or launchd look after the supervisor. */
export const command: Command = {
  usage: 'install [--dry-run] [--no-link]',
  about:
    'Copies this paios with its own Node into the home, so that neither git nor npm can pull it away, has systemd\n' +
    '(Linux) or launchd (macOS) start it at every login, hands a running supervisor over to it, and makes a link\n' +
    'for `paios` on your PATH. Services go on with their pids (only an MCP server that the supervisor keeps over\n' +
    'stdio starts anew, since its pipes cannot be handed on). If the supervisor does not answer in the end,\n' +
    'everything is put back. Repeating it changes nothing; after a change it is a repair.',
  flags: {
    'dry-run': { value: null, help: 'print the steps and the file, and do nothing' },
    'no-link': { value: null, help: 'make no link for paios' },
  },
  operands: { min: 0, max: 0 },
  examples: [
    ['paios install --dry-run', 'what would be written, and where?'],
    ['paios install', 'start the mesh at every login from now on'],
    ['loginctl enable-linger', 'on Linux: at boot, without a login'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, entry, json, out, has } = invocation
  const [{ planInstall, install }, { sourceAt }] = await Promise.all([
    import('../boot/install.ts'),
    import('../boot/copy.ts'),
  ])
  if (!existsSync(documentPath(home))) {
    throw new PaiosError(
      'document-unreadable',
      `there is no ${documentPath(home)}: paios up writes a first one`,
    )
  }
  const setting = await bootSetting(invocation)
  const source = sourceAt(dirname(dirname(entry)))
  const wish = { source, link: !has('no-link') }
  if (has('dry-run')) {
    const plan = await planInstall(setting, wish)
    out(json ? `${JSON.stringify(shown(plan))}\n` : describe(plan, setting.init.caveat))
    return 0
  }
  return withChangeLock(invocation, 'install', async () => {
    const fresh = await planInstall(setting, wish)
    const pid = await install(setting, fresh, source)
    if (json) {
      out(`${JSON.stringify({ ...shown(fresh), pid })}\n`)
      return 0
    }
    const notes = [...noteLines(fresh, pid), ...(setting.init.caveat === null ? [] : [setting.init.caveat])]
    out(notes.map((line) => `${line}\n`).join(''))
    return 0
  })
}

const shown = ({ version, file, text, steps, link, running, mesh }: InstallPlan) => ({
  version,
  file,
  text,
  steps,
  link: link?.path ?? null,
  former: running?.pid ?? null,
  mesh,
})

function describe(plan: InstallPlan, caveat: string | null): string {
  const steps = plan.steps.length === 0 ? ['nothing: all is as it should be'] : plan.steps
  const lines = [
    ...steps.map((step) => `would ${step}`.replace('would nothing', 'nothing')),
    '',
    `${plan.file}:`,
  ]
  const text = plan.text.split('\n').map((line) => (line === '' ? '' : `  ${line}`))
  return `${[...lines, ...text, ...(caveat === null ? [] : [caveat])].join('\n')}\n`
}

function noteLines(plan: InstallPlan, pid: number | null): string[] {
  const lines: string[] = []
  if (plan.steps.length === 0) lines.push('all is as it should be, nothing was changed')
  if (plan.link?.note) lines.push(plan.link.note)
  if (pid === null) lines.push('the mesh is down and stays so until paios up')
  lines.push('paios doctor says what would not survive a reboot')
  return lines
}
