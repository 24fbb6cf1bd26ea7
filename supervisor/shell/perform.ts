/** How each intention of the core is carried out: a total table, one entry an effect. It decides nothing. */
import type { Mesh } from '../core/state.ts'
import { PaiosError } from '../errors.ts'
import type { Alerting } from './alerting.ts'
import type { Perform } from './driver.ts'
import { keepHangEvidence } from './hang-evidence.ts'
import { heed, type Told } from './heed.ts'
import type { Home } from './home.ts'
import type { Journal } from './journal.ts'
import { logPathOf } from './log-file.ts'
import type { LogKeeping } from './log-keeping.ts'
import type { Logger } from './logger.ts'
import type { Prober } from './prober.ts'
import type { ProcessTable } from './process-table.ts'
import type { Processes, Tell } from './processes.ts'
import type { ProgramWatch } from './program-watch.ts'
import { findRun, identify } from './proof.ts'
import type { Requests } from './requests.ts'
import type { Secrets } from './secrets.ts'
import type { Subject } from './target.ts'
import type { Timers } from './timers.ts'

/** The parts of a supervisor that effects reach. */
export type Parts = {
  readonly home: Home
  readonly journal: Journal
  readonly secrets: Secrets
  readonly table: ProcessTable
  readonly logger: Logger
  readonly mesh: Mesh
  readonly timers: Timers
  readonly processes: Processes
  readonly prober: Prober
  readonly programWatch: ProgramWatch
  readonly keeping: LogKeeping
  readonly requests: Requests
  readonly subject: (service: string) => Subject | null
  readonly tell: Tell
  readonly measure: (told: Told) => void
  readonly troubled: Alerting['troubled']
  /** Everything is stopped and the mesh is down. */
  readonly ended: () => void
}

/** The table over these parts. */
export function performer(parts: Parts): Perform {
  const { home, journal, secrets, table, logger, mesh, timers, processes, prober, programWatch } = parts
  const { keeping, requests, subject, tell, measure, troubled, ended } = parts
  return {
    'run-preflight': ({ service, attempt }) => {
      const about = subject(service)
      if (about)
        prober.preflight(service, about, (results) =>
          tell(service, { kind: 'preflight-reported', attempt, results }),
        )
    },
    spawn: ({ service, generation, run }) => {
      const child = mesh.children.get(service)
      if (!child) return
      const cause = child.state.kind === 'spawning' ? child.state.cause : 'boot'
      const problem = journal.problem()
      if (problem !== null && cause !== 'crash' && cause !== 'hung') {
        tell(service, {
          kind: 'spawn-failed',
          generation,
          reason: `not started: ${problem}`,
          permanent: true,
        })
        return
      }
      processes.spawn(service, child.spec, generation, run)
      programWatch.started(service, child.spec)
      measure((to) => to.started(service, cause))
    },
    signal: ({ service, process, signal, to }) => processes.signal(service, process, signal, to),
    'keep-evidence'({ service, process, reason }) {
      const pids = processes.tree(service)
      const logPath = logPathOf(home.logs, service)
      const evidence = { service, reason, pids, logPath, logOffset: process.logOffset }
      try {
        const path = keepHangEvidence(home.snapshots, table, secrets.redact, evidence)
        tell(service, { kind: 'noted', event: 'evidence', text: `what it was doing is in ${path}` })
      } catch (error) {
        const text = `what it was doing could not be kept: ${(error as Error).message}`
        tell(service, { kind: 'noted', event: 'evidence', text })
      }
    },
    'close-stdin': ({ service }) => processes.closeStdin(service),
    'watch-log': ({ service, generation, index, pattern }) =>
      processes.watchLog(service, generation, index, pattern),
    sweep: ({ service, generation, process, hard }) => processes.sweep(service, generation, process, hard),
    identify: ({ service, run, identity }) => {
      const verdict = identity
        ? identify(table, run, identity, logPathOf(home.logs, service))
        : findRun(table, run, logPathOf(home.logs, service))
      tell(service, { kind: 'identified', run, verdict })
    },
    adopt({ service, generation, process }) {
      const spec = mesh.children.get(service)?.spec
      if (spec) programWatch.started(service, spec)
      processes.adopt(service, generation, process)
    },
    'open-probes': ({ service, generation, roles }) => {
      const state = mesh.children.get(service)?.state
      prober.open(service, generation, roles, state?.kind === 'running')
    },
    'close-probes': ({ service }) => prober.close(service),
    'set-timer': ({ service, timer, token, at }) => timers.set(service, timer, token, at),
    'cancel-timer': ({ service, timer }) => timers.cancel(service, timer),
    record: (effect) => heed(effect, logger, measure),
    // What it says was committed with its step, and is on its way.
    alert: ({ service, event }) => troubled(service, event),
    forget: ({ service }) => {
      processes.forget(service)
      keeping.forget(service)
      programWatch.forget(service)
      measure((to) => to.forget(service))
    },
    'record-breaker': () => undefined,
    'record-wanted': () => {
      for (const service of mesh.children.keys()) measure((to) => to.declare(service))
    },
    reply: ({ request, message, names }) => requests.answer(request, { message, names }),
    refuse: ({ request, code, message }) => requests.refuse(request, new PaiosError(code, message)),
    end: ended,
  }
}
