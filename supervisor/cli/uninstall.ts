/** `paios uninstall`. */
import { existsSync } from 'node:fs'
import { bootSetting } from './boot-setting.ts'
import { withChangeLock } from './change-lock.ts'
import type { Command, Invocation } from './command.ts'

/** Takes the installation back. */
export const command: Command = {
  usage: 'uninstall [--dry-run]',
  about:
    'Removes what `paios install` wrote: the unit of systemd or the job of launchd, the two programs in bin/, and\n' +
    'the link. Services go on: the supervisor hands over to one under a keeper, which does not start after a\n' +
    'reboot; `paios down` stops the mesh. The copies of the versions and the home stay.',
  flags: { 'dry-run': { value: null, help: 'print what would be removed, and do nothing' } },
  operands: { min: 0, max: 0 },
  examples: [['paios uninstall', 'the mesh goes on until the next reboot']],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, json, out, has } = invocation
  const { installedFiles, uninstall } = await import('../boot/install.ts')
  const setting = await bootSetting(invocation)
  if (has('dry-run')) {
    const files = installedFiles(setting)
    out(
      json
        ? `${JSON.stringify({ removed: files })}\n`
        : files.map((file) => `would remove ${file}\n`).join(''),
    )
    return 0
  }
  // A home that is not there is not made for this; its unit or plist may still be.
  const { removed, running } = existsSync(home)
    ? await withChangeLock(invocation, 'uninstall', () => uninstall(setting))
    : await uninstall(setting)
  if (json) out(`${JSON.stringify({ removed, pid: running?.pid ?? null, under: running?.under ?? null })}\n`)
  else {
    for (const path of removed) out(`removed ${path}\n`)
    if (removed.length === 0) out('nothing was installed for this home\n')
    else if (running !== null) {
      out(`the mesh goes on: its supervisor (pid ${running.pid}) is kept alive until the next reboot\n`)
    }
  }
  return 0
}
