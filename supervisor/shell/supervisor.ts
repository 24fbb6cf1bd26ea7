/**
 * One running supervisor: the driver over the core, with everything that carries out its intentions. What
 * serves people (API, metrics, probes, log) is loaded after the first services were started.
 */
import { randomBytes } from 'node:crypto'
import type { Copies } from '../../probes/probe.ts'
import type { ServiceSpec } from '../../schemas/service.ts'
import type { ProbeReport, Status } from '../../schemas/status.ts'
import type { Fact } from '../core/event.ts'
import { hasProcess } from '../core/order.ts'
import { processOf } from '../core/rest.ts'
import { showService } from '../core/snapshot.ts'
import type { Child, Mesh } from '../core/state.ts'
import { emptyMesh } from '../core/step.ts'
import { openAcceptance } from './acceptance.ts'
import { besideService } from './alert-views.ts'
import { openAlerting } from './alerting.ts'
import { type AlertEffect, alertBody, openAlerts } from './alerts.ts'
import { areRulesFresh } from './alive.ts'
import type { Accepted } from './api.ts'
import { createClock, GAP_MS, TICK_MS } from './clock.ts'
import { SCAN_MS } from './descendants.ts'
import { createDriver } from './driver.ts'
import { collectByClock } from './garbage.ts'
import type { Told } from './heed.ts'
import { type Home, runbookPath } from './home.ts'
import type { Journal } from './journal.ts'
import type { Left } from './journal-tables.ts'
import { openKnown } from './known.ts'
import { logPathOf } from './log-file.ts'
import { openLogKeeping } from './log-keeping.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { openObserved } from './observed.ts'
import { openOwnLimits } from './own-limits.ts'
import { performer } from './perform.ts'
import { openProbePrograms } from './probe-programs.ts'
import { openProber, type ProbeRun } from './prober.ts'
import type { ProcessTable } from './process-table.ts'
import { openProcesses, type Tell } from './processes.ts'
import { openProgramWatch } from './program-watch.ts'
import { openRequests } from './requests.ts'
import type { Secrets } from './secrets.ts'
import { everySlot } from './slot.ts'
import type { Subject } from './target.ts'
import { createTimers } from './timers.ts'

/** Old events are cut this often. */
const PRUNE_MS = 3_600_000

export type SupervisorOptions = {
  readonly home: Home
  readonly journal: Journal
  readonly left: Left
  readonly secrets: Secrets
  readonly table: ProcessTable
  readonly logger: Logger
  /** Called once when everything is stopped and the mesh is down. */
  readonly ended: () => void
  readonly beat: () => void
  /** Counts what the clients of an MCP server have started of it; `specs` are all services of the mesh. */
  readonly copies: (service: string, specs: readonly ServiceSpec[]) => Promise<Copies>
}

export type Supervisor = ReturnType<typeof createSupervisor>

/** Wires one supervisor. Nothing happens before the first fact is posted. */
export function createSupervisor(options: SupervisorOptions) {
  const { home, journal, left, secrets, table, logger } = options
  const mesh: Mesh = emptyMesh(left.nextEventId, seed())
  let metrics: Metrics | null = null
  const kept: Told[] = []
  const measure = (told: Told) => void (metrics ? told(metrics) : kept.push(told))
  let lastTickWall = Date.now()
  let lastWakeWall = 0
  let hasEnded = false

  const post = (fact: Fact) => driver.post(fact)
  const tell: Tell = (service, event) => post({ kind: 'child', service, event })
  const clock = createClock(left.awakeMs, (gapMs) => {
    lastWakeWall = Date.now()
    measure((to) => to.jumped('stall'))
    observed.slept(gapMs, lastWakeWall)
    post({ kind: 'host-woke', gapMs })
    alerting.tell({ kind: 'woke' })
    prober.woke()
    alerts.flush()
  })
  const timers = createTimers(clock, (service, timer, token) =>
    tell(service, { kind: 'timer-fired', timer, token }),
  )
  const needsTail = (service: string) =>
    mesh.children.get(service)?.spec.exits.some((signature) => signature.log !== undefined) ?? false
  const processes = openProcesses({ table, secrets, logs: home.logs, beats: home.beats, tell, needsTail })
  const subject = (service: string): Subject | null => {
    const child = mesh.children.get(service)
    return child ? { spec: child.spec, generation: child.generation, process: processOf(child) } : null
  }
  const ran = (run: ProbeRun) => measure((to) => to.probed(run))
  const programs = openProbePrograms(table, home.logs)
  const note = (event: string, text: string) => post({ kind: 'noted', event, text })
  const alerts = openAlerts({
    ...{ home, programs, secrets, journal, clock, note },
    nextEventId: () => mesh.nextEventId++,
    numbers: {
      enqueued: (...told) => measure((to) => to.outbox.enqueued(...told)),
      sent: (...told) => measure((to) => to.outbox.sent(...told)),
      failed: (...told) => measure((to) => to.outbox.failed(...told)),
      channelUp: (...told) => measure((to) => to.outbox.channelUp(...told)),
    },
  })
  const alerting = openAlerting({ outbox: alerts.outbox, clock, mesh, redact: secrets.redact })
  const known = openKnown(home.known)
  const prober = openProber({
    secrets,
    logs: home.logs,
    cache: home.cache,
    processes,
    programs,
    known,
    subject,
    tell,
    ran,
    toolsSeen: (...seen) => measure((to) => to.toolsSeen(...seen)),
    random: Math.random,
    copies: (service) =>
      options.copies(
        service,
        [...mesh.children.values()].map(({ spec }) => spec),
      ),
  })
  const requests = openRequests()
  const keeping = openLogKeeping({
    logs: home.logs,
    table,
    journal,
    logger,
    names: () => [...mesh.children.values()].filter(({ spec }) => spec.command).map(({ name }) => name),
    stateOf: (service) => {
      const child = mesh.children.get(service)
      return child ? { kind: child.state.kind, hasLeftovers: child.leftovers.length > 0 } : null
    },
    treeOf: processes.proven,
    recall: processes.recall,
    note: (service, event, text) => tell(service, { kind: 'noted', event, text }),
    measure,
  })
  const mended = keeping.mend()
  const programWatch = openProgramWatch((service, file) => {
    const generation = mesh.children.get(service)?.generation ?? 0
    tell(service, { kind: 'program-changed', generation, file })
  })

  const show = (child: Child): Status['services'][number] =>
    showService(child, mesh.children, {
      at: clock.awake(),
      wall: clock.wall(),
      logPath: child.spec.command ? logPathOf(home.logs, child.name) : null,
      runbook: runbookPath(home, child.name, child.spec.runbook),
      incident: besideService(alerting.incidentOf(child.name)),
    })
  const perform = performer({
    ...{ home, journal, secrets, table, logger, mesh, timers, processes, prober },
    ...{ programWatch, keeping },
    ...{ requests, subject, tell, measure, troubled: alerting.troubled },
    ended: () => {
      if (hasEnded) return
      hasEnded = true
      alerts.ended()
      options.ended()
    },
  })
  let isTroubled = false
  const tellJournal = () => {
    const problem = journal.problem()
    if (isTroubled === (problem !== null)) return
    isTroubled = problem !== null
    post({
      kind: 'noted',
      event: isTroubled ? 'warning' : 'journal-back',
      text: problem ?? 'the journal is written again',
    })
  }
  const turned = (durationMs: number) => {
    if (journal.problem() !== null) measure((to) => to.journalFailed())
    measure((to) => to.turned(durationMs))
    tellJournal()
  }
  const outgoing = (effects: readonly AlertEffect[]) =>
    alerts.outgoing(() =>
      effects.flatMap((effect) => {
        const child = mesh.children.get(effect.service)
        return child ? [{ effect, body: alertBody(effect, show(child), secrets.redact) }] : []
      }),
    )
  const isExcused = () => alerting.standing().maintenance !== null
  const observed = openObserved({ mesh, awake: () => clock.awake(), isExcused, write: journal.observe })
  const driver = createDriver({ mesh, clock, journal, perform, outgoing, moved: observed.moved, turned })
  const limits = openOwnLimits()
  const endTicks = everySlot(TICK_MS, (lateMs) => {
    // A gap is the host's, and told as one.
    if (lateMs < GAP_MS) limits.ticked(lateMs)
    clock.tick()
    options.beat()
    processes.look()
    keeping.look()
    lastTickWall = Date.now()
    journal.recheck()
    tellJournal()
    observed.tick(lastTickWall)
    alerts.ticked(journal.problem() === null && areRulesFresh(metrics))
  })
  const endScans = everySlot(SCAN_MS, () => {
    processes.scan()
    programWatch.look()
  })
  const endCollecting = collectByClock()
  const pruner = setInterval(() => journal.prune(Date.now()), PRUNE_MS)

  return {
    mesh,
    post,
    /**
     * Handles everything in the mailbox now, for the start: what is adopted in it is looked at with its tree.
     */
    drain(): void {
      for (const { service, text } of mended.splice(0))
        tell(service, { kind: 'noted', event: 'log-mended', text })
      driver.drain()
      // It may end before the first regular scan, and only its tree tells what it leaves.
      if (left.rows.length > 0) processes.scan()
    },
    /** Asks the core for something an operator wants; rejects with what it refuses. */
    ask: (command: Extract<Fact, { kind: 'operator-asked' }>['command']): Promise<Accepted> =>
      requests.open((request) => post({ kind: 'operator-asked', request, command })),
    /**
     * Looks whether a service could start again by this declaration, for a restart that must not end badly. `tree`:
     * processes that will have ended by then, and may hold what it needs.
     */
    preflight: (spec: ServiceSpec, tree?: readonly number[]) =>
      new Promise<Parameters<Parameters<typeof prober.preflight>[2]>[0]>((resolve) => {
        const about = subject(spec.name)
        const own = tree ? { tree } : {}
        if (about && spec.command !== null) prober.preflight(spec.name, { ...about, ...own, spec }, resolve)
        else resolve([])
      }),
    services: (): Status['services'] => [...mesh.children.values()].map(show),
    service(name: string): Status['services'][number] | null {
      const child = mesh.children.get(name)
      return child ? show(child) : null
    },
    /** Every probe of a service, or the one named, once, now. */
    report: (service: string, only: string | null = null): Promise<ProbeReport[]> => {
      const about = subject(service)
      return about ? prober.report(service, about, only) : Promise.resolve([])
    },
    ...{ tell, clock, programs, processes, prober },
    accept: openAcceptance(known, tell, (service) => prober.again(service, 'readiness')),
    alerts,
    alerting,
    keeping,
    programs,
    limits,
    liveCount: () => [...mesh.children.values()].filter(hasProcess).length,
    takeMetrics(loaded: Metrics): void {
      metrics = loaded
      for (const told of kept.splice(0)) told(loaded)
    },
    treeOf: (service: string) => processes.remembered(service),
    lastTickWall: () => lastTickWall,
    lastWakeWall: () => lastWakeWall,
    /** Records something that concerns the whole mesh. */
    tellMesh: (event: string, text: string) => {
      post({ kind: 'noted', event, text })
      driver.drain()
    },
    /** Lets go of everything without touching a service. */
    close(): void {
      driver.stop()
      observed.flush()
      alerting.close()
      for (const end of [endTicks, endScans, endCollecting]) end()
      clearInterval(pruner)
      timers.close()
      prober.closeAll()
      processes.close()
      alerts.close()
      keeping.close()
    },
  }
}

/** Four random words for the core; xoshiro must not begin with zeros only. */
function seed(): [number, number, number, number] {
  const bytes = randomBytes(16)
  return [bytes.readUInt32LE(0) | 1, bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12)]
}
