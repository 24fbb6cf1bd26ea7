/** `paios release`. */
import { withChangeLock } from './change-lock.ts'
import type { Command, Invocation } from './command.ts'
import { onInterrupt, takeoverSetting } from './takeover-setting.ts'

/** Gives a service back. */
export const command: Command = {
  usage: 'release SERVICE [--dry-run]',
  about:
    'Gives a service back to the systemd unit or launchd job that `paios takeover` took it from: puts its entry in\n' +
    'paios.yaml back as it was (other edits stay), stops it here in order, and has the unit or job enabled and\n' +
    'started as it was. It also puts back what an interrupted takeover or release has left.',
  flags: { 'dry-run': { value: null, help: 'print the steps and do nothing' } },
  operands: { min: 1, max: 1 },
  examples: [
    ['paios release gateway --dry-run', 'what would be put back?'],
    ['paios release gateway', 'systemd or launchd runs it again'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { has, operands, json, out } = invocation
  const service = operands[0]!
  const { planRelease, release } = await import('../boot/release.ts')
  const setting = await takeoverSetting(invocation)
  if (has('dry-run')) {
    const { steps, notes } = await planRelease(setting, service)
    if (json) out(`${JSON.stringify({ service, steps, notes })}\n`)
    else out([...steps.map((step) => `would ${step}\n`), ...notes.map((note) => `${note}\n`)].join(''))
    return 0
  }
  return withChangeLock(invocation, `release ${service}`, async () => {
    const plan = await planRelease(setting, service)
    const done = onInterrupt(service, invocation)
    await release(setting, plan).finally(done)
    const { steps, notes, record } = plan
    if (json) out(`${JSON.stringify({ service, steps, notes })}\n`)
    else
      out([...notes, `${service} belongs to ${record.owner.name} again`].map((line) => `${line}\n`).join(''))
    return 0
  })
}
