/** A home without a supervisor: what the journal says, what still lives, and how to end it. */
import type { Status } from '../schemas/status.ts'
import { processOf } from './core/rest.ts'
import { showService } from './core/snapshot.ts'
import { type Home, runbookPath } from './shell/home.ts'
import { type Journal, openJournal } from './shell/journal.ts'
import { endKeeper, livingKeeper } from './shell/keeper.ts'
import { takeLock } from './shell/lock.ts'
import { logPathOf } from './shell/log-file.ts'
import { createLogger } from './shell/logger.ts'
import { endProbePrograms } from './shell/probe-programs.ts'
import { openProcessTable } from './shell/process-table.ts'
import { identify } from './shell/proof.ts'
import { openSecrets } from './shell/secrets.ts'
import { createSupervisor } from './shell/supervisor.ts'
import { VERSION } from './version.ts'

/** The journal's view. A service whose process still lives is named as unsupervised. */
export function readOffline(home: Home): Status {
  const { redact } = openSecrets(home.env)
  const journal = openJournal(home.journal, home.spool, redact)
  try {
    const { rows, wanted, awakeMs } = journal.left()
    const children = new Map(rows.map(({ child }) => [child.name, child]))
    const table = openProcessTable()
    const view = { at: awakeMs, wall: Date.now() }
    const services = [...children.values()].map((child) => {
      const shown = showService(child, children, {
        ...view,
        logPath: logPathOf(home.logs, child.name),
        runbook: runbookPath(home, child.name, child.spec.runbook),
        incident: null,
      })
      const process = processOf(child)
      const lives =
        process !== null &&
        identify(table, process.run, process.identity, shown.logPath ?? '').kind === 'same'
      if (lives)
        return { ...shown, reason: `unsupervised: pid ${process.identity.pid} still runs`, next: 'paios up' }
      const state = process ? ('stopped' as const) : shown.state
      return {
        ...shown,
        state,
        pid: null,
        ready: false,
        reason: process ? 'not running: there is no supervisor' : shown.reason,
      }
    })
    return {
      version: VERSION,
      pid: null,
      home: home.root,
      startedAt: null,
      mesh: wanted,
      keeper: livingKeeper(home, table) === null ? 'none' : 'running',
      metrics: null,
      document: { path: home.document, applied: null, problem: null, changed: null, errors: null },
      warnings: [
        wanted === 'down'
          ? 'the mesh is down'
          : 'no supervisor runs: nothing is watched or restarted until `paios up`',
      ],
      alerts: 'nobody is told',
      services,
    }
  } finally {
    journal.close()
  }
}

/** Asks the journal of a home without a supervisor. */
export function readOfflineEvents<T>(home: Home, ask: (journal: Pick<Journal, 'events' | 'why'>) => T): T {
  const { redact } = openSecrets(home.env)
  const journal = openJournal(home.journal, home.spool, redact)
  try {
    return ask(journal)
  } finally {
    journal.close()
  }
}

/**
 * Adopts what lives, stops it in order, and records the mesh as down. Returns 0, or 1 if something would not
 * end.
 */
export async function downOffline(home: Home): Promise<number> {
  const secrets = openSecrets(home.env)
  const logger = createLogger(home.logs, secrets.redact)
  const lock = takeLock(home, VERSION)
  const journal = openJournal(home.journal, home.spool, secrets.redact)
  await logger.open(false)
  const left = journal.left()
  let ended: () => void = () => undefined
  const finished = new Promise<void>((resolve) => {
    ended = resolve
  })
  const table = openProcessTable()
  endProbePrograms(table, home.logs)
  const supervisor = createSupervisor({
    home,
    journal,
    left,
    secrets,
    table,
    logger,
    ended,
    beat: () => undefined,
    copies: async (...asked) => (await import('./links/links.ts')).countCopies(...asked),
  })
  supervisor.post({ kind: 'recovered', rows: left.rows, breakers: left.breakers, wanted: 'up' })
  await supervisor.ask({ kind: 'down' })
  await finished
  endKeeper(home, table)
  const unknown = supervisor.services().filter((service) => service.state === 'unknown')
  supervisor.close()
  journal.close()
  lock.release()
  for (const { name, reason } of unknown) process.stderr.write(`paios: ${name}: ${reason}\n`)
  process.stdout.write('the mesh is down\n')
  return unknown.length > 0 ? 1 : 0
}
