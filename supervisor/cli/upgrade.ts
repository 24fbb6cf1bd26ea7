/** `paios upgrade`. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Status } from '../../schemas/status.ts'
import type { UpgradePlan } from '../boot/upgrade.ts'
import { PaiosError } from '../errors.ts'
import { bootSetting } from './boot-setting.ts'
import { withChangeLock } from './change-lock.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'

/** Swaps the version that the supervisor runs from. */
export const command: Command = {
  usage: 'upgrade [--to VERSION|PATH|previous] [--list] [--dry-run]',
  about:
    'Copies a paios with its Node into the home, proves that the copy runs, and swaps the supervisor for one of\n' +
    'that version. Services go on with their pids (only an MCP server that the supervisor keeps over stdio starts\n' +
    'anew). If the new supervisor does not answer, the former version is put back. Without --to it takes the paios\n' +
    'that you type it with, such as a clone after git pull.',
  flags: {
    to: { value: 'VERSION', help: 'a version of --list, `previous`, or the folder of a paios' },
    list: { value: null, help: 'print the versions that are there, newest first' },
    'dry-run': { value: null, help: 'print the steps and do nothing' },
  },
  operands: { min: 0, max: 0 },
  examples: [
    ['git pull && npm ci && npx paios upgrade', 'the supervisor of a clone, brought up to date'],
    ['paios upgrade --to ~/src/paios', 'from the folder of another paios'],
    ['paios upgrade --to previous', 'back to the version before'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, entry, json, out, has, text } = invocation
  const [steps, { placeOf }] = await Promise.all([import('../boot/upgrade.ts'), import('../boot/place.ts')])
  if (has('list')) return list(invocation)
  if (!existsSync(home))
    throw new PaiosError('no-supervisor', `there is no mesh in ${home}: paios up makes one`)
  const target = steps.targetOf(placeOf(home), text('to'), dirname(dirname(entry)))
  const setting = await bootSetting(invocation)
  if (has('dry-run')) {
    const plan = await steps.planUpgrade(setting, target)
    out(
      json
        ? `${JSON.stringify(shown(plan))}\n`
        : plan.steps.map((step) => `would ${step}\n`).join('') || NOTHING,
    )
    return 0
  }
  return withChangeLock(invocation, 'upgrade', async () => {
    const plan = await steps.planUpgrade(setting, target)
    if (plan.running !== null) await refuseUnapplied(home)
    const running = await steps.upgrade(setting, plan)
    if (json) out(`${JSON.stringify({ ...shown(plan), pid: running?.pid ?? null })}\n`)
    else if (plan.steps.length === 0) out(NOTHING)
    else if (running === null)
      out('no supervisor runs; the next one is of this version where the home is installed\n')
    return 0
  })
}

const NOTHING = 'nothing: this version is in force and runs\n'

const shown = ({ from, to, steps, running }: UpgradePlan) => ({
  from,
  to,
  steps,
  former: running?.pid ?? null,
})

/** A new version reads the document anew, so an edit that nobody has applied would take effect unasked. */
async function refuseUnapplied(home: string): Promise<void> {
  const { document } = await call<Status>(home, 'GET', '/status')
  if (document.problem === null) return
  throw new PaiosError('refused', `${document.problem}; a new version would read it: settle that first`)
}

async function list({ home, json, out }: Invocation): Promise<number> {
  const [{ linkedVersion, listVersions }, { placeOf }] = await Promise.all([
    import('../boot/copy.ts'),
    import('../boot/place.ts'),
  ])
  const place = placeOf(home)
  const [current, previous] = [place.current, place.previous].map((link) => linkedVersion(link)?.id ?? null)
  const versions = listVersions(place).map((version) => ({
    ...version,
    use: version.id === current ? 'in force' : version.id === previous ? 'previous' : null,
  }))
  if (json) out(`${JSON.stringify({ versions })}\n`)
  else if (versions.length === 0) out('there is no copy yet: paios install or paios upgrade makes one\n')
  for (const { id, node, madeAt, from, use } of json ? [] : versions) {
    out(`${id}  Node ${node.slice(1)}  ${madeAt.slice(0, 16)}Z  ${from}${use === null ? '' : `  (${use})`}\n`)
  }
  return 0
}
