/** `paios takeover`. */
import type { TakeoverPlan } from '../boot/takeover.ts'
import { withChangeLock } from './change-lock.ts'
import type { Command, Invocation } from './command.ts'
import { onInterrupt, takeoverSetting } from './takeover-setting.ts'

/** Takes a service over from systemd or launchd. */
export const command: Command = {
  usage: 'takeover SERVICE [--dry-run]',
  about:
    'Takes a service that the document only observes (`observe: true`) over from the systemd user unit or launchd\n' +
    'job that runs it: stops and disables that one, changes `observe` in paios.yaml, starts the service here, and\n' +
    'waits until it is ready. If it does not get ready, everything is put back. The unit or plist itself is never\n' +
    'touched, and `paios release SERVICE` gives the service back. What would keep it from starting here is checked\n' +
    'first.',
  flags: { 'dry-run': { value: null, help: 'print the steps and do nothing' } },
  operands: { min: 1, max: 1 },
  examples: [
    ['paios takeover gateway --dry-run', 'who runs it, and what would be done?'],
    ['paios takeover gateway', 'from now on PAIOS starts it and restarts it'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { has, operands } = invocation
  const service = operands[0]!
  const { planTakeover, takeover } = await import('../boot/takeover.ts')
  const setting = await takeoverSetting(invocation)
  if (has('dry-run')) {
    tellPlan(await planTakeover(setting, service), invocation)
    return 0
  }
  return withChangeLock(invocation, `takeover ${service}`, async () => {
    const plan = await planTakeover(setting, service)
    for (const note of plan.notes) invocation.err(`paios: could not be told: ${note}\n`)
    const done = onInterrupt(service, invocation)
    const pid = await takeover(setting, plan).finally(done)
    if (invocation.json) invocation.out(`${JSON.stringify({ ...shown(plan), pid })}\n`)
    else invocation.out(`${service} runs here with pid ${pid}; paios release ${service} gives it back\n`)
    return 0
  })
}

function tellPlan(plan: TakeoverPlan, { json, out }: Invocation): void {
  if (json) return void out(`${JSON.stringify(shown(plan))}\n`)
  for (const step of plan.steps) out(`would ${step}\n`)
  for (const note of plan.notes) out(`could not be told: ${note}\n`)
}

const shown = ({ service, owner, steps, notes }: TakeoverPlan) => {
  const { init, name, file, isEnabled, isActive, pid } = owner
  return { service, owner: { init, name, file, isEnabled, isActive, pid }, steps, notes }
}
