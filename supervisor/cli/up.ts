/** `paios up`: starts a supervisor in the background, or brings a running one to its document. */
import { existsSync } from 'node:fs'
import type { Plan, Status } from '../../schemas/status.ts'
import { PaiosError } from '../errors.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { ownVersion, versionGap } from './own-version.ts'
import { isDown, plain, renderPlan, renderStatus, stoppedBy } from './render.ts'
import { waitSettled } from './settle.ts'

/** Starts the mesh, or reconciles a running one. */
export const command: Command = {
  usage: 'up [--dry-run] [--retry] [--no-wait] [--foreground [--stop-on-term]]',
  about:
    'Starts a supervisor in the background that starts every service in the order of needs; on a running mesh it\n' +
    'prints what changed in the document and restarts only that. Waits until every service is settled, then shows\n' +
    'the table. Exits 0 if every wanted service runs, is absent, or was stopped by you,\n' +
    'and every declaration was taken; else 1. Ctrl-C ends the\n' +
    'wait and leaves the mesh running. Without a document it first writes one from what it finds on this machine.',
  flags: {
    'dry-run': { value: null, help: 'print what would be done and do nothing' },
    retry: { value: null, help: 'try again what was not taken or was taken back' },
    'no-wait': { value: null, help: 'return as soon as the supervisor answers' },
    foreground: { value: null, help: 'be the supervisor, for launchd, systemd and containers' },
    'stop-on-term': {
      value: null,
      help: 'with --foreground: SIGTERM means down; without it services live on',
    },
  },
  operands: { min: 0, max: 0 },
  examples: [
    ['paios up', 'start everything, or apply an edited paios.yaml'],
    ['paios up --dry-run', 'what would that change?'],
    ['paios up --foreground --stop-on-term', 'the one process of a container'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { has } = invocation
  if (has('stop-on-term') && !has('foreground'))
    throw new PaiosError('usage', '--stop-on-term needs --foreground')
  if (has('foreground')) return foreground(invocation)
  let reconciled: Reconciled
  try {
    const body = { dryRun: has('dry-run'), retry: has('retry') }
    reconciled = await call<Reconciled>(invocation.home, 'POST', '/up', body)
  } catch (error) {
    if (!(error instanceof PaiosError && error.code === 'no-supervisor')) throw error
    return boot(invocation)
  }
  return reconcile(reconciled, invocation)
}

type Reconciled = { readonly plan: Plan; readonly problems?: readonly string[] }

async function reconcile({ plan, problems = [] }: Reconciled, invocation: Invocation): Promise<number> {
  const { out, json, has } = invocation
  if (problems.length > 0) throw new PaiosError('document-invalid', problems.map(plain).join('\n'))
  if (!json)
    out(
      renderPlan(plan)
        .map((line) => `${line}\n`)
        .join(''),
    )
  if (has('dry-run') || has('no-wait')) {
    if (json) out(`${JSON.stringify({ plan })}\n`)
    return 0
  }
  return settle(plan, invocation)
}

async function boot(invocation: Invocation): Promise<number> {
  const { home, entry, out, err, json, has } = invocation
  const { bootInstalled, bootSupervisor, exposedHome, prepareHome } = await import('./boot.ts')
  const { firstOrOwnMesh } = await import('./first-document.ts')
  if (!has('dry-run')) await prepareHome(home)
  const mesh = await firstOrOwnMesh(home, !has('dry-run'), json ? err : out)
  for (const warning of mesh.warnings)
    err(`paios: line ${warning.line}: ${warning.path}: ${warning.message}\n`)
  const start = mesh.specs.filter((spec) => spec.enabled).map((spec) => spec.name)
  const plan: Plan = { start, restart: [], update: [], stop: [], unchanged: [], refused: [] }
  if (has('dry-run')) {
    out(json ? `${JSON.stringify({ plan })}\n` : `${renderPlan(plan).join('\n')}\n`)
    return 0
  }
  const exposed = exposedHome(home)
  if (exposed !== null) err(`paios: ${exposed}\n`)
  const handed = { documentHash: mesh.hash, mesh }
  const isInstalled = await bootInstalled(home, handed).catch((error: PaiosError) => {
    if (error.code !== 'init-unavailable') throw error
    err(`paios: ${error.message}; a keeper looks after the supervisor until the next login\n`)
    return false
  })
  if (!isInstalled) await bootSupervisor(home, entry, handed)
  if (!has('no-wait')) return settle(plan, invocation)
  out(
    json
      ? `${JSON.stringify({ plan })}\n`
      : 'the supervisor runs; paios status shows how far the services are\n',
  )
  return 0
}

async function settle(plan: Plan, invocation: Invocation): Promise<number> {
  const { out, err, json, entry } = invocation
  const interrupted = () => {
    err('\nthe mesh goes on without this command: paios status shows it, paios down stops it\n')
    process.exit(130)
  }
  process.once('SIGINT', interrupted)
  const { status, settled } = await waitSettled(invocation, null)
  process.removeListener('SIGINT', interrupted)
  if (json) out(`${JSON.stringify({ plan, settled, status })}\n`)
  else {
    out(renderStatus(status, Date.now(), invocation))
    out(
      closingLines(status, settled, await willStart(invocation.home))
        .map((line) => `${line}\n`)
        .join(''),
    )
    const gap = versionGap(ownVersion(entry), status.version)
    if (gap !== null) err(`paios: ${gap}\n`)
  }
  const isWell = !status.services.some((service) => isDown(service) || service.rejected !== null)
  return settled && isWell ? 0 : 1
}

function closingLines(status: Status, settled: boolean, next: string): string[] {
  const lines: string[] = []
  for (const { name, stopped, desired } of status.services) {
    if (stopped === null || desired !== 'stopped') continue
    lines.push(`not started: ${name}, ${stoppedBy(stopped, Date.now())}   paios start ${name}`)
  }
  if (!settled) lines.push('not every service is settled yet: paios status --watch')
  lines.push(next)
  return lines
}

/** Whether the mesh starts by itself at the next login. */
async function willStart(home: string): Promise<string> {
  const [{ placeOf }, { installedFile, initOf }] = await Promise.all([
    import('../boot/place.ts'),
    import('../boot/init-port.ts'),
  ])
  return installedFile(placeOf(home)) === null
    ? 'after a reboot or a new login the mesh does not start by itself: paios install'
    : `at the next login ${initOf()} starts the mesh: paios doctor says what would keep it from that`
}

/**
 * This process becomes the supervisor. An invalid document does not stop it: the last valid one runs then.
 */
async function foreground(invocation: Invocation): Promise<number> {
  const { home, has } = invocation
  const { prepareHome } = await import('./boot.ts')
  await prepareHome(home)
  const { documentPath } = await import('./document.ts')
  if (!existsSync(documentPath(home))) {
    const { firstOrOwnMesh } = await import('./first-document.ts')
    await firstOrOwnMesh(home, true, invocation.err)
  }
  process.env['PAIOS_HOME'] = home
  const { main } = await import('../main.ts')
  await main({ foreground: true, stopOnTerm: has('stop-on-term') })
  return Number(process.exitCode ?? 0)
}
